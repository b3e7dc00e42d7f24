//! The thread of the ledger: takes what queued, commits it, answers.
#![deny(clippy::arithmetic_side_effects)]

use crate::metrics::LedgerMetrics;
use crate::model::clock::Clock;
use crate::model::id::KeyId;
use crate::store::ledger::Fault;
use crate::store::ledger::Spent;
use crate::store::ledger::batch;
use crate::store::ledger::batch::Found;
use crate::store::ledger::batch::Group;
use crate::store::ledger::batch::Verdict;
use crate::store::ledger::queue::MAX_BATCH;
use crate::store::ledger::queue::Receiver;
use crate::store::ledger::session::Session;
use crate::store::ledger::statement;
use crate::store::ledger::statement::Lock;
use crate::store::ledger::statement::Moment;
use std::collections::HashSet;
use std::time::Instant;

/// Keys that are remembered as stuck at most; then all are forgotten, and those that still are found again.
const MAX_STUCK: usize = MAX_BATCH;

/// The one who writes balances for the spends of this process.
pub(super) struct Writer {
    session: Session,
    clock: Clock,
    metrics: LedgerMetrics,
    /// Keys whose rows somebody held too long when they were last asked for. They are not waited for again until they are
    /// free, so that one of them does not hold up all others.
    stuck: HashSet<KeyId>,
}

impl Writer {
    pub(super) fn new(session: Session, clock: Clock, metrics: LedgerMetrics) -> Self {
        Self { session, clock, metrics, stuck: HashSet::new() }
    }

    /// Works until the queue ends, or until another one has taken over.
    pub(super) fn run(mut self, queue: &Receiver) {
        while let Some(asks) = (!self.session.is_left_behind()).then(|| queue.next()).flatten() {
            let groups = batch::gather(asks);
            if !groups.is_empty() {
                self.commit(groups);
            }
        }
    }

    fn commit(&mut self, groups: Vec<Group>) {
        let begun = Instant::now();
        let size: usize = groups.iter().map(Group::len).fold(0, usize::saturating_add);
        self.metrics.batch.observe(u32::try_from(size).map_or(f64::MAX, f64::from));
        // Read after the spends came: whoever asks after midnight finds the refill of midnight.
        let moment = Moment::at(self.clock.now());
        let (stuck, free): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| self.stuck.contains(&group.key));
        self.settle(free, Lock::Wait, &moment);
        self.settle(stuck, Lock::Skip, &moment);
        self.metrics.commit.observe(begun.elapsed().as_secs_f64());
    }

    /// One statement for all; then one transaction for those keys of which only some spends can be served.
    fn settle(&mut self, groups: Vec<Group>, lock: Lock, moment: &Moment) {
        if groups.is_empty() {
            return;
        }
        let (found, lock) =
            match self.session.run(lock, |connection, lock| statement::take(connection, lock, &groups, moment)) {
                Ok(done) => done,
                Err(fault) => return fail(groups, fault),
            };
        let mut partly = Vec::new();
        for group in groups {
            let found = found.get(&group.key).copied();
            self.note(&group.key, found);
            match group.judge(found) {
                Verdict::Replay => partly.push(group),
                Verdict::Unlimited => group.answer_all(&Ok(Spent::Unlimited)),
                Verdict::Settled(balance) => group.answer(balance),
                Verdict::Busy => group.answer_all(&Err(busy())),
            }
        }
        if !partly.is_empty() {
            self.replay(partly, lock, moment);
        }
    }

    fn replay(&mut self, groups: Vec<Group>, lock: Lock, moment: &Moment) {
        let found =
            match self.session.run(lock, |connection, lock| statement::replay(connection, lock, &groups, moment)) {
                Ok((found, _)) => found,
                Err(fault) => return fail(groups, fault),
            };
        for group in groups {
            let found = found.get(&group.key).copied();
            self.note(&group.key, found);
            match found {
                None => group.answer_all(&Ok(Spent::Unlimited)),
                Some(Found::Held(balance) | Found::Seen(balance)) => group.answer(balance),
                Some(Found::Busy) => group.answer_all(&Err(busy())),
            }
        }
    }

    /// Remembers whose row could not be had.
    fn note(&mut self, key: &KeyId, found: Option<Found>) {
        match found {
            Some(Found::Busy) => {
                if self.stuck.len() >= MAX_STUCK {
                    self.stuck.clear();
                }
                self.stuck.insert(key.clone());
            }
            // Read without its lock: it is not known who holds that.
            Some(Found::Seen(_)) => (),
            Some(Found::Held(_)) | None => {
                self.stuck.remove(key);
            }
        }
    }
}

/// Tells everybody that there is no answer; the log once.
fn fail(groups: Vec<Group>, fault: Fault) {
    tracing::warn!(reason = fault.reason, keys = groups.len(), certain = fault.certain, "credits were not spent");
    let answer = Err(fault);
    groups.into_iter().for_each(|group| group.answer_all(&answer));
}

fn busy() -> Fault {
    Fault { certain: true, reason: "somebody holds the balance of this key".to_owned() }
}
