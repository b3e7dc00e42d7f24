//! Whether the database still answers whoever works with it. libpq waits for an answer for ever, and nobody else can end that
//! wait: a peer that takes everything and says nothing is found by the clock, and whoever waits for it is left behind.

use crate::store::cache::elapsed_ms;
use diesel::Connection;
use diesel::connection::Instrumentation;
use diesel::connection::InstrumentationEvent;
use diesel::pg::PgConnection;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Those who wait in one place for what will never come, at most. Beyond that the next ones keep their places.
pub(in crate::store) const MAX_HANGING: usize = 256;
/// Longest time that connecting may take: libpq bounds all of it but the look-up of the host's name and the first settings.
const CONNECTING: Duration = Duration::from_secs(10);

/// Until when whoever works with a connection must have heard of the database again.
#[derive(Debug)]
pub(in crate::store) struct Pulse {
    due_ms: AtomicU64,
    /// Longer than the server lets a statement run, so that one that is merely slow is not taken for one that is silent.
    patience: Duration,
    is_left_behind: AtomicBool,
}

impl Pulse {
    /// Of somebody who does not wait yet; `statement` is the server's bound of a statement.
    pub(in crate::store) fn new(statement: Duration) -> Arc<Self> {
        let patience = statement.saturating_mul(3) / 2;
        Arc::new(Self { due_ms: AtomicU64::new(u64::MAX), patience, is_left_behind: AtomicBool::new(false) })
    }

    /// Something was sent, or came.
    fn beat(&self) {
        self.expect(self.patience);
    }

    /// A connection is being made.
    pub(in crate::store) fn connects(&self) {
        self.expect(CONNECTING);
    }

    /// Nothing is expected of the database for now.
    pub(in crate::store) fn rests(&self) {
        self.due_ms.store(u64::MAX, Ordering::Release);
    }

    fn expect(&self, within: Duration) {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.due_ms.store(elapsed_ms().saturating_add(within), Ordering::Release);
    }

    /// Notes all that goes on on a connection, from now on.
    pub(in crate::store) fn follows(self: &Arc<Self>, connection: &mut PgConnection) {
        self.beat();
        connection.set_instrumentation(Beats(Arc::clone(self)));
    }

    /// Whether the database has been silent for too long.
    pub(in crate::store) fn is_overdue(&self) -> bool {
        self.due_ms.load(Ordering::Acquire) < elapsed_ms()
    }

    /// Says that nobody waits for this one any more.
    pub(in crate::store) fn leave_behind(&self) {
        self.is_left_behind.store(true, Ordering::Release);
    }

    /// Whether nobody waits for this one any more: what it learns comes too late.
    pub(in crate::store) fn is_left_behind(&self) -> bool {
        self.is_left_behind.load(Ordering::Acquire)
    }

    /// How long it has been patient with one that is overdue.
    pub(in crate::store) fn patience(&self) -> Duration {
        self.patience
    }
}

struct Beats(Arc<Pulse>);

impl Instrumentation for Beats {
    fn on_connection_event(&mut self, _event: InstrumentationEvent<'_>) {
        self.0.beat();
    }
}

/// How many wait for what will never come.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Hanging(Arc<AtomicUsize>);

impl Hanging {
    pub(in crate::store) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// One more, if there may be.
    pub(in crate::store) fn begin(&self) -> bool {
        let more = |count: usize| (count < MAX_HANGING).then_some(count.saturating_add(1));
        let begun = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        begun.is_ok()
    }

    pub(in crate::store) fn end(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Hanging;
    use super::MAX_HANGING;
    use super::Pulse;
    use std::time::Duration;
    use std::time::Instant;

    #[test]
    fn who_rests_is_never_overdue_and_who_waits_is_after_its_patience() {
        let pulse = Pulse::new(Duration::from_millis(20));
        assert!(!pulse.is_overdue());
        let begun = Instant::now();
        pulse.beat();
        while !pulse.is_overdue() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it is overdue at some time");
        }
        assert!(begun.elapsed() >= Duration::from_millis(29), "{:?}", begun.elapsed());
        pulse.connects();
        assert!(!pulse.is_overdue());
        pulse.rests();
        assert!(!pulse.is_overdue());
    }

    #[test]
    fn so_many_hang_at_most() {
        let hanging = Hanging::default();
        assert_eq!((0..MAX_HANGING + 5).filter(|_| hanging.begin()).count(), MAX_HANGING);
        hanging.end();
        assert!(hanging.begin());
        assert_eq!(hanging.count(), MAX_HANGING);
    }
}
