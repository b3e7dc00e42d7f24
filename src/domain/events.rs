//! Events of verifications: gathered in a bounded queue, written in batches, off the request's path.

use crate::domain::verify::Verified;
use crate::metrics::EventCounters;
use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::id::WriterId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::verdict::Outcome;
use crate::model::verification::Verification;
use crate::store;
use crate::store::database::Db;
use crate::store::events::Batch;
use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio::time::timeout;

/// Most events that wait. A further one is dropped and counted: a verification never waits for its record.
pub const QUEUE: usize = 131_072;
/// Most bytes of tags that wait: a tag may be long.
const QUEUE_TAG_BYTES: usize = 32 << 20;
/// Most events that are written together. So many of them are written at once, fewer within a second. The more there are in a
/// batch, the fewer rows of sums have to be rewritten for each event.
const BATCH: usize = 32_768;
/// Kinds of events (by key, outcome and tags) that are written together at most, about: each makes rows of its own, and no statement
/// may take long. So there are fewer events in a batch where few of them are alike.
const BATCH_KINDS: usize = 5_000;
/// Tags that are written together, bytes; the last event may go beyond.
const BATCH_TAG_BYTES: usize = 4 << 20;
/// How many times as long as a request a batch may stay in the store.
const PATIENCE: u32 = 10;

/// Events that wait to be written. A crash loses at most what one interval of flushing gathered.
#[derive(Debug)]
pub struct Events {
    sender: Sender<Verification>,
    receiver: Receiver<Verification>,
    /// Bytes of the tags of all events that are not written.
    tag_bytes: AtomicUsize,
    /// Events of the batch that is being written.
    in_batch: AtomicUsize,
    many: Notify,
    /// Tells kinds of events apart.
    hasher: RandomState,
    writer: Mutex<Writer>,
    counters: EventCounters,
}

/// The one who writes: one batch after the other. A batch that was not acknowledged stays here under its number.
#[derive(Debug)]
struct Writer {
    id: WriterId,
    batches: i64,
    open: Option<Arc<Batch>>,
}

impl Events {
    /// A queue for so many events.
    #[must_use]
    pub fn new(queue: usize, counters: EventCounters) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(queue);
        Self {
            sender,
            receiver,
            tag_bytes: AtomicUsize::new(0),
            in_batch: AtomicUsize::new(0),
            many: Notify::new(),
            hasher: RandomState::new(),
            writer: Mutex::new(Writer { id: WriterId::generate(), batches: 0, open: None }),
            counters,
        }
    }

    /// Notes a verification; one of an unknown key leaves nothing. `cost` is what it was to cost if it passed.
    pub fn note(&self, at: Timestamp, origin: &Origin, verified: &Verified, tags: Vec<String>, cost: i64) {
        let Some(snapshot) = &verified.snapshot else { return };
        let outcome = verified.verdict.outcome;
        let paid = outcome == Outcome::Valid && verified.credits.is_some();
        self.push(Verification {
            at,
            subject: Arc::clone(&snapshot.subject),
            outcome,
            tags,
            credits_spent: if paid { cost } else { 0 },
            request: origin.request_id.clone(),
        });
    }

    fn push(&self, event: Verification) {
        let bytes = event.tag_bytes();
        let fits = bytes == 0 || self.tag_bytes.fetch_add(bytes, Ordering::Relaxed) < QUEUE_TAG_BYTES;
        if !fits || self.sender.try_send(event).is_err() {
            self.tag_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counters.dropped.inc();
        } else if self.receiver.len() >= BATCH {
            self.many.notify_one();
        }
    }

    /// Events that are not written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.receiver.len().saturating_add(self.in_batch.load(Ordering::Relaxed))
    }

    /// Waits until there are enough events for a batch, but not longer than this.
    pub async fn enough(&self, longest: Duration) {
        // Both ends mean the same: it is time.
        let _ = timeout(longest, self.many.notified()).await;
    }

    /// Writes what waits, until less than a batch is left. What could not be written waits on.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn flush(&self, db: &Db) -> Result<()> {
        while self.write(db).await? {}
        Ok(())
    }

    /// Writes everything, at the end. Answers how many events are left because a batch took longer than `each`, all took
    /// longer than `all`, or the database refused.
    pub async fn finish(&self, db: &Db, each: Duration, all: Duration) -> usize {
        let begun = Instant::now();
        while self.waiting() > 0 && begun.elapsed() < all {
            match timeout(each, self.write(db)).await {
                Ok(Ok(_more)) => (),
                Ok(Err(error)) => {
                    tracing::warn!(?error, "events were not written");
                    break;
                }
                Err(_elapsed) => break,
            }
        }
        self.waiting()
    }

    /// Writes one batch, the one that was not acknowledged first. True if there may be more that should not wait.
    async fn write(&self, db: &Db) -> Result<bool> {
        let mut writer = self.writer.lock().await;
        let (batch, more) = match &writer.open {
            Some(batch) => (Arc::clone(batch), true),
            None => {
                let (events, more) = self.take();
                if events.is_empty() {
                    return Ok(false);
                }
                writer.batches = writer.batches.saturating_add(1);
                let batch = Arc::new(Batch { writer: writer.id.clone(), number: writer.batches, events });
                writer.open = Some(Arc::clone(&batch));
                (batch, more)
            }
        };
        let written = Arc::clone(&batch);
        db.patient(PATIENCE)
            .write(Origin::local(Actor::System), move |tx| Ok(store::events::insert(tx, &written)?))
            .await?;
        writer.open = None;
        let (count, bytes) = (batch.events.len(), batch.events.iter().map(Verification::tag_bytes).sum());
        self.in_batch.store(0, Ordering::Relaxed);
        self.tag_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.counters.written.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(more)
    }

    /// The next batch, and whether a bound ended it.
    fn take(&self) -> (Vec<Verification>, bool) {
        let mut events = Vec::with_capacity(self.receiver.len().min(BATCH));
        let (mut bytes, mut kinds) = (0_usize, HashSet::new());
        let mut full = false;
        while !full {
            let Ok(event) = self.receiver.try_recv() else { break };
            bytes = bytes.saturating_add(event.tag_bytes());
            kinds.insert(self.hasher.hash_one((Arc::as_ptr(&event.subject).addr(), event.outcome, &event.tags)));
            events.push(event);
            full = events.len() >= BATCH || bytes >= BATCH_TAG_BYTES || kinds.len() >= BATCH_KINDS;
        }
        self.in_batch.store(events.len(), Ordering::Relaxed);
        (events, full)
    }
}

#[cfg(test)]
mod tests {
    use super::BATCH;
    use super::BATCH_KINDS;
    use super::BATCH_TAG_BYTES;
    use super::Events;
    use super::QUEUE_TAG_BYTES;
    use crate::metrics::Metrics;
    use crate::model::id::ApiId;
    use crate::model::id::KeyId;
    use crate::model::id::RequestId;
    use crate::model::id::WorkspaceId;
    use crate::model::verdict::Outcome;
    use crate::model::verification::Subject;
    use crate::model::verification::Verification;
    use std::sync::Arc;

    fn queue(length: usize) -> (Events, Metrics) {
        let metrics = Metrics::new().unwrap();
        (Events::new(length, metrics.events()), metrics)
    }

    fn event(tags: Vec<String>) -> Verification {
        let subject =
            Subject { workspace: WorkspaceId::generate(), api: ApiId::generate(), key: KeyId::generate(), owner: None };
        Verification {
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
            subject: Arc::new(subject),
            outcome: Outcome::Valid,
            tags,
            credits_spent: 0,
            request: RequestId::generate(),
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (events, metrics) = queue(3);
        (0..5).for_each(|_| events.push(event(Vec::new())));
        assert_eq!((events.waiting(), metrics.events().dropped.get()), (3, 2));
        assert_eq!(events.take().0.len(), 3);
        assert_eq!(events.waiting(), 3, "what is being written is not written yet");
        events.push(event(Vec::new()));
        assert_eq!((events.waiting(), metrics.events().dropped.get()), (4, 2));
    }

    #[test]
    fn tags_are_bounded_by_their_bytes() {
        let (events, metrics) = queue(super::QUEUE);
        let long = || event(vec!["x".repeat(1 << 20); 2]);
        (0..40).for_each(|_| events.push(long()));
        let kept = QUEUE_TAG_BYTES.div_ceil(long().tag_bytes());
        assert_eq!(events.waiting(), kept);
        assert_eq!(metrics.events().dropped.get(), 40 - u64::try_from(kept).unwrap());
        assert_eq!(events.take().0.len(), BATCH_TAG_BYTES.div_ceil(long().tag_bytes()));
        events.push(event(Vec::new()));
        assert_eq!(events.waiting(), kept + 1, "an event without tags still fits");
    }

    #[test]
    fn a_batch_has_an_end() {
        let (events, _) = queue(super::QUEUE);
        let one = event(Vec::new());
        (0..BATCH + 1).for_each(|_| events.push(one.clone()));
        let take = || {
            let (taken, full) = events.take();
            (taken.len(), full)
        };
        assert_eq!((take(), take(), take()), ((BATCH, true), (1, false), (0, false)));
        // Each of these is about a key of its own.
        (0..BATCH_KINDS + 1).for_each(|_| events.push(event(Vec::new())));
        assert_eq!((take(), take()), ((BATCH_KINDS, true), (1, false)));
    }
}
