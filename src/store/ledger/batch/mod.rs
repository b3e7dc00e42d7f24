//! A batch of spends: gathered by key, and answered in order of arrival. Pure.
#![deny(clippy::arithmetic_side_effects)]

use crate::model::id::KeyId;
use crate::store::ledger::Fault;
use crate::store::ledger::Spent;
use tokio::sync::oneshot;

/// One spend that waits.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) key: KeyId,
    /// 0 to [`MAX_COST`](crate::store::ledger::MAX_COST).
    pub(super) cost: i64,
    /// Closed when the caller has given up.
    pub(super) answer: oneshot::Sender<Result<Spent, Fault>>,
}

/// All spends of one key in a batch, in order of arrival.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: KeyId,
    asks: Vec<Ask>,
}

/// What a statement said of a key that has a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Its balance, read without a lock: it is below the least cost.
    Seen(i64),
    /// Its balance under the row's lock. The total was taken if it was not above that.
    Held(i64),
    /// Somebody else holds its row.
    Busy,
}

/// What follows from what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every spend passes; there is nothing to take from.
    Unlimited,
    /// The spends have happened, one after another from this balance.
    Settled(i64),
    /// Some spends would pass, not all: they must be replayed under the row's lock.
    Replay,
    /// It is not known what the balance is, and nothing was taken.
    Busy,
}

/// Gathers spends by key, in the order of the keys: two nodes that lock the same rows lock them in the same order. Spends
/// that nobody waits for any more are left out.
pub(super) fn gather(mut asks: Vec<Ask>) -> Vec<Group> {
    asks.retain(|ask| !ask.answer.is_closed());
    // Stable: spends of one key stay in order of arrival.
    asks.sort_by(|a, b| a.key.cmp(&b.key));
    let mut groups: Vec<Group> = Vec::new();
    for ask in asks {
        match groups.last_mut() {
            Some(group) if group.key == ask.key => group.asks.push(ask),
            Some(_) | None => groups.push(Group { key: ask.key.clone(), asks: vec![ask] }),
        }
    }
    groups
}

impl Group {
    /// The sum of all costs.
    pub(super) fn total(&self) -> i64 {
        self.costs().fold(0, i64::saturating_add)
    }

    /// The least cost that is not 0. Below that balance nothing can be taken. If everything is free there is no such balance.
    pub(super) fn least(&self) -> i64 {
        self.costs().filter(|cost| *cost > 0).min().unwrap_or(i64::MAX)
    }

    pub(super) fn len(&self) -> usize {
        self.asks.len()
    }

    /// What follows from what was found for this key; `None` is a key without a balance.
    pub(super) fn judge(&self, found: Option<Found>) -> Verdict {
        match found {
            None => Verdict::Unlimited,
            Some(Found::Busy) => Verdict::Busy,
            Some(Found::Held(balance)) if balance >= self.total() => Verdict::Settled(balance),
            Some(Found::Held(balance) | Found::Seen(balance)) if balance < self.least() => Verdict::Settled(balance),
            Some(Found::Held(_) | Found::Seen(_)) => Verdict::Replay,
        }
    }

    /// What is left when the spends come one after another, each passing if the balance suffices for it.
    pub(super) fn left_of(&self, balance: i64) -> i64 {
        self.costs().fold(balance, |balance, cost| after(balance, cost).unwrap_or(balance))
    }

    /// Answers each spend with what it found when its turn came.
    pub(super) fn answer(self, mut balance: i64) {
        for ask in self.asks {
            let left = after(balance, ask.cost);
            balance = left.unwrap_or(balance);
            // Who gave up meanwhile has spent, and was told that it may be so.
            let _ = ask.answer.send(Ok(left.map_or(Spent::Refused(balance), Spent::Left)));
        }
    }

    /// Answers each spend alike.
    pub(super) fn answer_all(self, answer: &Result<Spent, Fault>) {
        for ask in self.asks {
            let _ = ask.answer.send(answer.clone());
        }
    }

    fn costs(&self) -> impl Iterator<Item = i64> {
        self.asks.iter().map(|ask| ask.cost)
    }
}

/// The balance after a spend that it suffices for.
fn after(balance: i64, cost: i64) -> Option<i64> {
    balance.checked_sub(cost).filter(|left| *left >= 0)
}

#[cfg(test)]
mod tests;
