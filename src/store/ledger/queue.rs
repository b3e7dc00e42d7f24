//! The queue of the ledger: bounded, taken from by the thread on duty, refused at once when it is full.
#![deny(clippy::arithmetic_side_effects)]

use crate::metrics::LedgerMetrics;
use crate::store::ledger::batch::Ask;
use crossbeam_channel::TrySendError;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Spends that may wait. A third of a second's work: who would come behind them is better told at once.
pub(super) const MAX_QUEUE: usize = 8192;

/// Spends that one statement takes at most, so that no statement is long.
pub(super) const MAX_BATCH: usize = 2048;

enum Message {
    Spend(Ask),
    /// Wakes the thread so that it sees that it shall stop.
    Stop,
}

/// Why a spend was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// As many wait as may.
    Full,
    /// The ledger stops.
    Stopping,
}

impl Refused {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Full => "the ledger's queue is full",
            Self::Stopping => "the ledger has stopped",
        }
    }
}

/// Where callers put spends.
pub(super) struct Sender {
    messages: crossbeam_channel::Sender<Message>,
    stopping: Arc<AtomicBool>,
    metrics: LedgerMetrics,
}

/// Where the thread takes them.
pub(super) struct Receiver {
    messages: crossbeam_channel::Receiver<Message>,
    stopping: Arc<AtomicBool>,
    metrics: LedgerMetrics,
}

/// A new queue.
pub(super) fn bounded(metrics: LedgerMetrics) -> (Sender, Receiver) {
    let (sender, receiver) = crossbeam_channel::bounded(MAX_QUEUE);
    let stopping = Arc::new(AtomicBool::new(false));
    let sender = Sender { messages: sender, stopping: Arc::clone(&stopping), metrics: metrics.clone() };
    (sender, Receiver { messages: receiver, stopping, metrics })
}

impl Sender {
    /// Queues a spend, never waits.
    ///
    /// # Errors
    /// The queue is full, or nobody takes from it any more.
    pub(super) fn send(&self, ask: Ask) -> Result<(), Refused> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Refused::Stopping);
        }
        // Counted before it can be taken, so that the gauge never falls below zero.
        self.metrics.queued.inc();
        self.messages.try_send(Message::Spend(ask)).map_err(|error| {
            self.metrics.queued.dec();
            match error {
                TrySendError::Full(_) => {
                    self.metrics.refused.inc();
                    Refused::Full
                }
                TrySendError::Disconnected(_) => Refused::Stopping,
            }
        })
    }

    /// Refuses further spends, and lets the thread end when it has taken those that wait.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // A full queue needs no waking: its thread looks at the flag after the next batch.
        let _ = self.messages.try_send(Message::Stop);
    }
}

impl Receiver {
    /// Waits for spends and takes all that are there, up to [`MAX_BATCH`], in order of arrival. `None` when there will be no
    /// more.
    pub(super) fn next(&self) -> Option<Vec<Ask>> {
        let first = if self.stopping.load(Ordering::Acquire) {
            self.messages.try_recv().ok()
        } else {
            self.messages.recv().ok()
        }?;
        let mut asks = Vec::new();
        let rest = self.messages.try_iter().take(MAX_BATCH.saturating_sub(1));
        for message in std::iter::once(first).chain(rest) {
            if let Message::Spend(ask) = message {
                asks.push(ask);
            }
        }
        self.metrics.queued.sub(i64::try_from(asks.len()).unwrap_or(i64::MAX));
        Some(asks)
    }
}

#[cfg(test)]
mod tests {
    use super::MAX_BATCH;
    use super::MAX_QUEUE;
    use super::Refused;
    use super::bounded;
    use crate::metrics::Metrics;
    use crate::model::id::KeyId;
    use crate::store::ledger::batch::Ask;
    use tokio::sync::oneshot;

    fn ask(cost: i64) -> Ask {
        Ask { key: KeyId::from_text("key_1"), cost, answer: oneshot::channel().0 }
    }

    #[test]
    fn it_is_full_at_its_bound_and_drained_in_bounded_batches_in_order() {
        let metrics = Metrics::new().unwrap().ledger;
        let (sender, receiver) = bounded(metrics.clone());
        for cost in 0..MAX_QUEUE {
            sender.send(ask(cost.try_into().unwrap())).unwrap();
        }
        assert_eq!(sender.send(ask(0)), Err(Refused::Full));
        assert_eq!((metrics.queued.get(), metrics.refused.get()), (MAX_QUEUE.try_into().unwrap(), 1));
        sender.stop();
        let batches: Vec<Vec<i64>> =
            std::iter::from_fn(|| receiver.next()).map(|batch| batch.iter().map(|ask| ask.cost).collect()).collect();
        assert!(batches.iter().all(|batch| batch.len() <= MAX_BATCH));
        assert!(batches.concat().into_iter().eq(0..MAX_QUEUE.try_into().unwrap()));
        assert_eq!(metrics.queued.get(), 0);
    }

    #[test]
    fn what_waits_at_the_stop_is_taken_and_nothing_comes_after_it() {
        let (sender, receiver) = bounded(Metrics::new().unwrap().ledger);
        sender.send(ask(7)).unwrap();
        sender.stop();
        assert_eq!(sender.send(ask(8)), Err(Refused::Stopping));
        assert_eq!(receiver.next().unwrap().iter().map(|ask| ask.cost).collect::<Vec<_>>(), [7]);
        assert!(receiver.next().is_none());
    }

    #[test]
    fn it_ends_with_its_sender() {
        let (sender, receiver) = bounded(Metrics::new().unwrap().ledger);
        sender.send(ask(7)).unwrap();
        drop(sender);
        assert_eq!(receiver.next().unwrap().len(), 1);
        assert!(receiver.next().is_none());
    }

    #[test]
    fn a_stop_wakes_a_thread_that_waits() {
        let (sender, receiver) = bounded(Metrics::new().unwrap().ledger);
        let waiting = std::thread::spawn(move || while receiver.next().is_some() {});
        sender.stop();
        waiting.join().unwrap();
    }
}
