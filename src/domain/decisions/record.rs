//! Denials on their way into records: gathered in memory, identical ones together, written in batches off the request's path.

use crate::domain::decisions::class::KeyClass;
use crate::domain::decisions::class::RootKeyClass;
use crate::domain::decisions::describe;
use crate::domain::decisions::write;
use crate::metrics::DecisionCounters;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::decision::DataAge;
use crate::model::decision::KeyQuestion;
use crate::model::decision::LooksLike;
use crate::model::error::Lack;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Actor;
use crate::model::origin::Ignored;
use crate::model::origin::Origin;
use crate::model::rate_limit::Evaluated;
use crate::model::secret::Hash;
use crate::model::verdict::Verdict;
use crate::store::cache::Authenticated;
use crate::store::database::Db;
use crate::store::snapshot::Snapshot;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::timeout;

/// Most records of one minute; a further denial is counted as dropped. So are all while none can be written.
const MAX_RECORDS: usize = 16_384;
/// Of these, most that tell of credentials which nobody knows one by one. Further ones share a record: whoever guesses keys
/// must not crowd out the denials of others.
const MAX_STRANGERS: usize = 1_024;
/// Most requests that one record is found by, beside its first.
const MAX_REQUESTS: usize = 1_000;
/// Most requests that wait to be written beside the first ones of their records.
const MAX_WAITING_REQUESTS: usize = 262_144;
/// Most records that are written together.
const BATCH: usize = 1_000;
/// How many times as long as a request a batch may stay in the store.
const PATIENCE: u32 = 10;
/// Longest prefix of a key.
const MAX_PREFIX: usize = 64;
/// Parts of the memory that are locked on their own.
const SHARDS: usize = 16;

/// A credential that was not found.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// Its hash; `None` if too many came at once.
    pub hash: Option<Hash>,
    /// What its text looks like.
    pub looks_like: LooksLike,
    /// What may be the prefix of an API's keys. It may as well be a part of a secret: it is not written down.
    pub prefix: Option<String>,
}

impl Stranger {
    /// What can be said of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self::hashed(text, Hash::of(text))
    }

    /// The same where the text's hash is known.
    #[must_use]
    pub fn hashed(text: &str, hash: Hash) -> Self {
        let prefix = text.rsplit_once('_').map(|(prefix, _)| prefix).filter(|prefix| prefix.len() <= MAX_PREFIX);
        Self { hash: Some(hash), looks_like: describe::looks_like(text), prefix: prefix.map(ToOwned::to_owned) }
    }
}

/// A key that was denied, as it is kept until it is written.
#[derive(Debug)]
pub(in crate::domain) struct KeptKey {
    pub(super) caller: Origin,
    pub(super) operation: &'static str,
    pub(super) workspace: WorkspaceId,
    pub(super) verdict: Verdict,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) credits: Option<i64>,
    pub(super) limits: Vec<Evaluated>,
    pub(super) question: KeyQuestion,
    pub(super) stranger: Option<Stranger>,
    pub(super) data: DataAge,
}

/// A root key that was denied, as it is kept until it is written.
#[derive(Debug)]
pub(super) struct KeptRootKey {
    pub(super) operation: &'static str,
    pub(super) audited: bool,
    pub(super) code: Code,
    pub(super) refusal: Refusal,
    pub(super) lack: Option<Lack>,
    pub(super) root_key: Option<Arc<Authenticated>>,
    pub(super) stranger: Option<Stranger>,
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: Option<String>,
    pub(super) ignored: Ignored,
    pub(super) data: DataAge,
}

/// The first denial of its kind: the verdict with what it was made on.
#[derive(Debug)]
pub(super) enum Kept {
    Key(Box<KeptKey>),
    RootKey(Box<KeptRootKey>),
}

/// Identical denials of a minute.
#[derive(Debug)]
struct Entry {
    minute: i64,
    stranger: bool,
    first: RequestId,
    at: Timestamp,
    last_at: Timestamp,
    count: i64,
    named: usize,
    waiting: Vec<RequestId>,
    changed: bool,
    /// Until it is written.
    kept: Option<Kept>,
}

/// What is to be written of an entry.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) first: RequestId,
    pub(super) at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) count: i64,
    pub(super) requests: Vec<RequestId>,
    pub(super) kept: Option<Kept>,
}

type Shard = HashMap<u64, Entry>;
type Batch = Arc<Vec<Taken>>;

/// Denials that wait to be written. A crash loses at most what one interval of flushing gathered.
#[derive(Debug)]
pub struct Denials {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    records: AtomicUsize,
    strangers: AtomicUsize,
    /// Records that are not written.
    waiting: AtomicUsize,
    /// Further requests that are not written.
    requests: AtomicUsize,
    /// A batch that was not acknowledged stays here: writing it twice is writing it once.
    writer: tokio::sync::Mutex<Option<Batch>>,
    counters: DecisionCounters,
}

impl Denials {
    /// Nothing was denied yet.
    #[must_use]
    pub fn new(counters: DecisionCounters) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            records: AtomicUsize::new(0),
            strangers: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            writer: tokio::sync::Mutex::new(None),
            counters,
        }
    }

    /// Notes a verification that was not `VALID`.
    pub fn key(&self, denied: &KeyClass<'_>) {
        let tell = self.strangers.load(Ordering::Relaxed) < MAX_STRANGERS;
        let class = KeyClass { tell_strangers_apart: tell, ..*denied };
        let stranger = class.is_stranger() && tell;
        self.note(denied.at, &denied.origin.request_id, stranger, &class, || Kept::Key(Box::new(class.kept())));
    }

    /// Notes a call whose root key was refused.
    pub fn root_key(&self, denied: &RootKeyClass<'_>) {
        let tell = self.strangers.load(Ordering::Relaxed) < MAX_STRANGERS;
        let class = RootKeyClass { tell_strangers_apart: tell, ..*denied };
        let stranger = class.root_key.is_none() && tell;
        self.note(denied.at, denied.request, stranger, &class, || Kept::RootKey(Box::new(class.kept())));
    }

    fn note(
        &self,
        at: Timestamp,
        request: &RequestId,
        stranger: bool,
        class: &impl std::hash::Hash,
        kept: impl FnOnce() -> Kept,
    ) {
        let minute = minute(at);
        let fingerprint = self.hasher.hash_one((minute, class));
        match self.shard(fingerprint).entry(fingerprint) {
            Place::Occupied(mut entry) => self.repeated(entry.get_mut(), at, request),
            Place::Vacant(place) => {
                if self.records.fetch_add(1, Ordering::Relaxed) >= MAX_RECORDS {
                    self.records.fetch_sub(1, Ordering::Relaxed);
                    self.counters.dropped_records.inc();
                    return;
                }
                self.waiting.fetch_add(1, Ordering::Relaxed);
                self.strangers.fetch_add(usize::from(stranger), Ordering::Relaxed);
                place.insert(Entry {
                    minute,
                    stranger,
                    first: request.clone(),
                    at,
                    last_at: at,
                    count: 1,
                    named: 0,
                    waiting: Vec::new(),
                    changed: true,
                    kept: Some(kept()),
                });
            }
        }
    }

    fn repeated(&self, entry: &mut Entry, at: Timestamp, request: &RequestId) {
        entry.count = entry.count.saturating_add(1);
        entry.last_at = at.max(entry.last_at);
        entry.changed = true;
        if entry.named < MAX_REQUESTS && self.requests.fetch_add(1, Ordering::Relaxed) < MAX_WAITING_REQUESTS {
            entry.named = entry.named.saturating_add(1);
            entry.waiting.push(request.clone());
        } else {
            if entry.named < MAX_REQUESTS {
                self.requests.fetch_sub(1, Ordering::Relaxed);
            }
            self.counters.dropped_requests.inc();
        }
    }

    fn shard(&self, fingerprint: u64) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(fingerprint % 16).unwrap_or(0);
        let shard = self.shards.get(index).unwrap_or_else(|| {
            let [first, ..] = &self.shards;
            first
        });
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that are not written.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Writes what waits. What could not be written waits on.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn flush(&self, db: &Db) -> Result<()> {
        while self.write(db).await? {}
        Ok(())
    }

    /// Writes everything, at the end. Answers how many records are left because a batch took longer than `each`, all took
    /// longer than `all`, or the database refused.
    pub async fn finish(&self, db: &Db, each: Duration, all: Duration) -> usize {
        let begun = Instant::now();
        while begun.elapsed() < all {
            match timeout(each, self.write(db)).await {
                Ok(Ok(true)) => (),
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(error)) => {
                    tracing::warn!(?error, cause = ?error.source, "denials were not recorded");
                    break;
                }
            }
        }
        self.waiting()
    }

    /// Writes one batch, the one that was not acknowledged first. True if there may be another one.
    async fn write(&self, db: &Db) -> Result<bool> {
        let mut writer = self.writer.lock().await;
        let batch = match writer.as_ref() {
            Some(batch) => Arc::clone(batch),
            None => {
                let batch = Arc::new(self.take(minute(db.clock().now())));
                if batch.is_empty() {
                    return Ok(false);
                }
                *writer = Some(Arc::clone(&batch));
                batch
            }
        };
        let written = Arc::clone(&batch);
        db.patient(PATIENCE).write(Origin::local(Actor::System), move |tx| write::write(tx, &written)).await?;
        *writer = None;
        let records = batch.iter().filter(|taken| taken.kept.is_some()).count();
        let requests = batch.iter().map(|taken| taken.requests.len()).sum();
        self.waiting.fetch_sub(records, Ordering::Relaxed);
        self.requests.fetch_sub(requests, Ordering::Relaxed);
        self.counters.recorded.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        Ok(true)
    }

    /// Takes what changed, a batch of it at most; what is of an earlier minute is forgotten then.
    fn take(&self, present: i64) -> Vec<Taken> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in shard.values_mut().filter(|entry| entry.changed).take(BATCH.saturating_sub(all.len())) {
                entry.changed = false;
                all.push(Taken {
                    first: entry.first.clone(),
                    at: entry.at,
                    last_at: entry.last_at,
                    count: entry.count,
                    requests: std::mem::take(&mut entry.waiting),
                    kept: entry.kept.take(),
                });
            }
            shard.retain(|_, entry| {
                let stays = entry.changed || entry.minute == present;
                if !stays {
                    self.records.fetch_sub(1, Ordering::Relaxed);
                    self.strangers.fetch_sub(usize::from(entry.stranger), Ordering::Relaxed);
                }
                stays
            });
        }
        all
    }
}

/// Minutes of the clock.
fn minute(at: Timestamp) -> i64 {
    at.timestamp().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::Denials;
    use super::MAX_RECORDS;
    use super::MAX_REQUESTS;
    use super::minute;
    use crate::domain::decisions::class::RootKeyClass;
    use crate::metrics::Metrics;
    use crate::model::clock::Timestamp;
    use crate::model::code::Code;
    use crate::model::error::Refusal;
    use crate::model::id::RequestId;
    use crate::model::origin::Ignored;
    use crate::store::cache::Cache;
    use chrono::Duration;

    struct Scene {
        denials: Denials,
        metrics: Metrics,
        cache: Cache,
        now: Timestamp,
    }

    fn scene() -> Scene {
        let metrics = Metrics::new().unwrap();
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        Scene {
            denials: Denials::new(metrics.decisions()),
            metrics,
            cache: Cache::new(1, std::time::Duration::ZERO),
            now,
        }
    }

    impl Scene {
        /// Denials of different kinds have different numbers.
        fn deny(&self, kind: usize) {
            let most = i64::try_from(kind).unwrap();
            self.denials.root_key(&RootKeyClass {
                at: self.now,
                request: &RequestId::generate(),
                operation: "keys.createKey",
                audited: false,
                code: Code::KeysLimitExceeded,
                refusal: Refusal::KeysLimit { most, wanted: most },
                lack: None,
                root_key: None,
                stranger: None,
                address: None,
                user_agent: None,
                ignored: Ignored::default(),
                cache: &self.cache,
                tell_strangers_apart: true,
            });
        }
    }

    #[test]
    fn records_are_bounded_and_what_does_not_fit_is_counted() {
        let scene = scene();
        (0..MAX_RECORDS + 3).for_each(|kind| scene.deny(kind));
        assert_eq!(scene.denials.waiting(), MAX_RECORDS);
        assert_eq!(scene.metrics.decisions().dropped_records.get(), 3);
        scene.deny(0);
        assert_eq!(scene.metrics.decisions().dropped_records.get(), 3, "one that is known is counted");
        let mut taken = 0;
        loop {
            let batch = scene.denials.take(minute(scene.now) + 1);
            if batch.is_empty() {
                break;
            }
            taken += batch.len();
        }
        assert_eq!(taken, MAX_RECORDS, "all are written in the end");
        scene.deny(MAX_RECORDS + 5);
        assert_eq!(scene.metrics.decisions().dropped_records.get(), 3, "there is room again");
    }

    #[test]
    fn the_requests_of_a_record_are_bounded_and_its_count_is_not() {
        let mut scene = scene();
        (0..MAX_REQUESTS + 4).for_each(|_| scene.deny(1));
        assert_eq!(scene.metrics.decisions().dropped_requests.get(), 3);
        let present = minute(scene.now);
        let taken = scene.denials.take(present);
        assert_eq!((taken.len(), taken[0].requests.len()), (1, MAX_REQUESTS));
        assert_eq!(taken[0].count, i64::try_from(MAX_REQUESTS + 4).unwrap());
        assert!(scene.denials.take(present).is_empty(), "nothing new");
        scene.deny(1);
        let again = scene.denials.take(present);
        assert!(again[0].kept.is_none() && again[0].first == taken[0].first, "the same record once more");
        scene.now += Duration::minutes(1);
        scene.deny(1);
        let next = scene.denials.take(present + 1);
        assert!(next.len() == 1 && next[0].kept.is_some() && next[0].first != taken[0].first, "another minute");
    }
}
