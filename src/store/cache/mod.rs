//! What this node remembers of keys and root keys, so that verifying a known key asks nobody. It forgets what changed, and
//! trusts nothing of it while it cannot know what changed.

mod slots;

use crate::authz::grants::Grants;
use crate::metrics::CacheState;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::decision::DataAge;
use crate::model::id::WorkspaceId;
use crate::model::origin::Actor;
use crate::model::root_key::RootKey;
use crate::model::secret::Hash;
use crate::model::workspace::Workspace;
use crate::store::cache::slots::Made;
use crate::store::cache::slots::Part;
use crate::store::cache::slots::Sequence;
use crate::store::cache::slots::Slots;
use crate::store::snapshot::Snapshot;
use crate::store::tx::ReadAt;
use quick_cache::sync::Cache as Map;
use rustix::time::ClockId;
use rustix::time::clock_gettime;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Root keys that are remembered at most.
const MAX_ROOT_KEYS: usize = 10_000;
/// Of so many entries one may be "there is no such key": such answers cost little and may not push keys out.
const ABSENT_SHARE: usize = 10;

/// What is known of a name.
#[derive(Clone, Debug)]
pub enum Known<T> {
    /// There is one, and this is it.
    Present(T),
    /// There is none.
    Absent,
    /// Nobody has asked, or it is out of date.
    Unknown,
}

/// A root key with its workspace and what it holds, ready to be asked.
#[derive(Debug)]
pub struct Authenticated {
    /// The root key.
    pub root_key: RootKey,
    /// Its workspace.
    pub workspace: Workspace,
    /// What it holds.
    pub grants: Arc<Grants>,
    /// The root key as the audit log names it.
    pub actor: Actor,
    /// When it was read.
    pub read: ReadAt,
    /// The second in which its use was last noted.
    used_s: AtomicI64,
}

impl Authenticated {
    /// Readies a root key.
    #[must_use]
    pub fn new(root_key: RootKey, workspace: Workspace, grants: Arc<Grants>, read: ReadAt) -> Self {
        let name = root_key.name.as_deref().unwrap_or("root key").into();
        let actor = Actor::RootKey { id: root_key.id.clone(), name };
        Self { root_key, workspace, grants, actor, read, used_s: AtomicI64::new(0) }
    }

    /// Whether this is the first use in its second. Only that one is noted: the second is what `lastUsedAt` is good for.
    #[must_use]
    pub fn is_first_use(&self, at: Timestamp) -> bool {
        let second = at.timestamp();
        self.used_s.load(Ordering::Relaxed) != second && self.used_s.swap(second, Ordering::Relaxed) != second
    }
}

/// The name of a key: its hash in its workspace. Of the workspace a hash will do, since who finds a key compares it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    hash: Hash,
    workspace: u64,
}

#[derive(Clone)]
struct Entry<T> {
    made: Made,
    value: T,
}

/// All that this node remembers. Bounded; the least useful entries go first.
pub struct Cache {
    slots: Slots,
    hasher: RandomState,
    keys: Map<Name, Entry<Arc<Snapshot>>>,
    absent: Map<Name, Entry<()>>,
    root_keys: Map<Hash, Entry<Arc<Authenticated>>>,
    max_staleness: Duration,
    /// The latest moment up to which every change is known to have arrived, in [`elapsed_ms`].
    proven_ms: AtomicU64,
    ever_proven: AtomicBool,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Cache {
    /// Remembers up to `entries` keys, and uses them while the proof that every change has arrived is at most
    /// `max_staleness` old; 0 uses nothing. In the beginning there is no such proof.
    #[must_use]
    pub fn new(entries: usize, max_staleness: Duration) -> Self {
        Self {
            slots: Slots::default(),
            hasher: RandomState::new(),
            keys: Map::new(entries.max(1)),
            absent: Map::new((entries / ABSENT_SHARE).max(1)),
            root_keys: Map::new(MAX_ROOT_KEYS),
            max_staleness,
            proven_ms: AtomicU64::new(0),
            ever_proven: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The key with this hash in this workspace, as far as it may be said without asking.
    #[must_use]
    pub fn key(&self, workspace: &WorkspaceId, hash: &Hash) -> Known<Arc<Snapshot>> {
        let name = self.name(workspace, hash);
        let known = if !self.is_trusted() {
            Known::Unknown
        } else if let Some(entry) = self
            .keys
            .get(&name)
            .filter(|entry| self.slots.holds(&entry.made) && entry.value.key.workspace_id == *workspace)
        {
            Known::Present(entry.value)
        } else if self.absent.get(&name).is_some_and(|entry| self.slots.holds(&entry.made)) {
            Known::Absent
        } else {
            Known::Unknown
        };
        self.count(matches!(known, Known::Unknown));
        known
    }

    /// The root key with this hash, if it is remembered.
    #[must_use]
    pub fn root_key(&self, hash: &Hash) -> Option<Arc<Authenticated>> {
        let known = self.is_trusted().then(|| self.root_keys.get(hash)).flatten();
        let known = known.filter(|entry| self.slots.holds(&entry.made)).map(|entry| entry.value);
        self.count(known.is_none());
        known
    }

    /// What an entry is remembered under: to be asked *before* the database is.
    #[must_use]
    pub fn begin(&self) -> Begun {
        Begun(self.slots.now())
    }

    /// Remembers what the database said of a hash.
    pub fn remember_key(&self, begun: Begun, workspace: &WorkspaceId, hash: &Hash, found: Option<&Arc<Snapshot>>) {
        let name = self.name(workspace, hash);
        let Some(snapshot) = found else {
            let parts =
                [Some(Part::NewKeys(workspace.as_str())), Some(Part::Workspace(workspace.as_str())), None, None];
            self.absent.insert(name, Entry { made: self.slots.made(begun.0, parts), value: () });
            return;
        };
        let key = &snapshot.key;
        let parts = [
            Some(Part::Key(key.id.as_str())),
            Some(Part::Api(key.api_id.as_str())),
            key.identity_id.as_ref().map(|id| Part::Identity(id.as_str())),
            Some(Part::Workspace(workspace.as_str())),
        ];
        self.keys.insert(name, Entry { made: self.slots.made(begun.0, parts), value: Arc::clone(snapshot) });
    }

    /// Remembers a root key.
    pub fn remember_root_key(&self, begun: Begun, hash: &Hash, found: &Arc<Authenticated>) {
        let parts = [
            Some(Part::RootKey(found.root_key.id.as_str())),
            Some(Part::Workspace(found.workspace.id.as_str())),
            None,
            None,
        ];
        self.root_keys.insert(*hash, Entry { made: self.slots.made(begun.0, parts), value: Arc::clone(found) });
    }

    /// Forgets what a change concerns.
    pub fn changed(&self, change: &Change) {
        self.slots.changed(change);
    }

    /// Forgets everything: changes may have been missed.
    pub fn clear(&self) {
        self.slots.clear();
    }

    /// Every change that was made before this moment, of [`elapsed_ms`], has arrived.
    pub fn prove(&self, at_ms: u64) {
        self.proven_ms.fetch_max(at_ms, Ordering::Release);
        self.ever_proven.store(true, Ordering::Release);
    }

    /// Whether the proof is young enough that what is remembered may be used.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        !self.max_staleness.is_zero() && self.staleness().is_some_and(|staleness| staleness <= self.max_staleness)
    }

    /// How old the proof is that every change has arrived; `None` if there never was one.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        let proven = self.ever_proven.load(Ordering::Acquire).then(|| self.proven_ms.load(Ordering::Acquire))?;
        Some(Duration::from_millis(elapsed_ms().saturating_sub(proven)))
    }

    /// How old something is that was read then and is in use now: its age ends with the proof that every change has arrived.
    #[must_use]
    pub fn age(&self, read: ReadAt) -> DataAge {
        let current = self.proven_ms.load(Ordering::Acquire).max(read.elapsed_ms);
        let age = elapsed_ms().saturating_sub(current);
        DataAge { read_at: read.at.timestamp_millis(), age_ms: i64::try_from(age).unwrap_or(i64::MAX) }
    }

    /// What the metrics say.
    #[must_use]
    pub fn state(&self) -> CacheState {
        let length = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        CacheState {
            keys: length(self.keys.len()),
            absent: length(self.absent.len()),
            root_keys: length(self.root_keys.len()),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            staleness: self.staleness(),
            trusted: self.is_trusted(),
        }
    }

    fn name(&self, workspace: &WorkspaceId, hash: &Hash) -> Name {
        Name { hash: *hash, workspace: self.hasher.hash_one(workspace.as_str()) }
    }

    fn count(&self, missed: bool) {
        let counter = if missed { &self.misses } else { &self.hits };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Milliseconds of a clock that nobody sets and that goes on while the machine sleeps: the time in which proofs are told. What
/// [`std::time::Instant`] shows stands still on a machine that was suspended, while keys are revoked elsewhere.
#[must_use]
pub fn elapsed_ms() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let now = clock_gettime(CLOCK);
    let (seconds, nanoseconds) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

/// A moment before the database is asked.
#[derive(Clone, Copy, Debug)]
pub struct Begun(Sequence);
