//! The loader: concurrent misses of the cache share one query. While it is in flight the next ones gather.

use crate::authz::grants::Grants;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::WorkspaceId;
use crate::model::secret::Hash;
use crate::store::cache::Authenticated;
use crate::store::cache::Cache;
use crate::store::database::Db;
use crate::store::pulse::Pulse;
use crate::store::root_keys;
use crate::store::shift::Shift;
use crate::store::snapshot;
use crate::store::snapshot::SharedIds;
use crate::store::snapshot::Snapshot;
use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Misses that wait at most; a further one is answered 503 at once.
const QUEUE: usize = 16_384;
/// Misses that one query answers at most.
const BATCH: usize = 1024;

type Answer<T> = oneshot::Sender<std::result::Result<Option<Arc<T>>, Arc<Error>>>;

enum Wanted {
    Key(WorkspaceId, Hash, Answer<Snapshot>),
    RootKey(Hash, Answer<Authenticated>),
}

impl Wanted {
    fn is_given_up(&self) -> bool {
        match self {
            Self::Key(_, _, answer) => answer.is_closed(),
            Self::RootKey(_, answer) => answer.is_closed(),
        }
    }
}

/// Asks the database for keys and root keys, many at a time, and lets the cache remember what it says. Its thread ends when
/// it is dropped, and is relieved when the database is silent to it for ever.
#[derive(Clone, Debug)]
pub struct Loader {
    queue: Sender<Wanted>,
    shift: Arc<Shift>,
    deadline: Duration,
}

impl Loader {
    /// Starts the loader. `db` should have connections of its own: whoever waits for the pool of the control plane would
    /// hold up every verification.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(db: Db, cache: Arc<Cache>, deadline: Duration) -> std::io::Result<Self> {
        let (queue, wanted) = crossbeam_channel::bounded(QUEUE);
        let shift = Shift::start("loader", deadline, move |pulse| work(&db, &cache, &wanted, pulse))?;
        Ok(Self { queue, shift: Arc::new(shift), deadline })
    }

    /// The live key of a live API with this hash.
    ///
    /// # Errors
    /// `service_unavailable` within the deadline if the database is away.
    pub async fn key(&self, workspace: &WorkspaceId, hash: &Hash) -> Result<Option<Arc<Snapshot>>> {
        let (workspace, hash) = (workspace.clone(), *hash);
        self.ask(|answer| Wanted::Key(workspace, hash, answer)).await
    }

    /// The live root key with this hash, whatever its state, with its workspace.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub async fn root_key(&self, hash: &Hash) -> Result<Option<Arc<Authenticated>>> {
        let hash = *hash;
        self.ask(|answer| Wanted::RootKey(hash, answer)).await
    }

    async fn ask<T>(&self, wanted: impl FnOnce(Answer<T>) -> Wanted) -> Result<Option<Arc<T>>> {
        self.shift.relieve_if_overdue();
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(wanted(answer)).map_err(|full| Error::unavailable(full.to_string()))?;
        match timeout(self.deadline, answered).await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(error))) => Err(repeat(&error)),
            Ok(Err(dropped)) => Err(Error::unavailable(dropped)),
            Err(elapsed) => {
                self.shift.relieve_if_overdue();
                Err(Error::unavailable(elapsed))
            }
        }
    }
}

/// One failed query fails all who waited for it; each gets an error of its own with the same cause.
fn repeat(error: &Error) -> Error {
    let cause = error.source.as_ref().map_or_else(|| error.detail.clone(), ToString::to_string);
    let mut repeated = Error::new(error.code, error.detail.clone()).caused_by(cause);
    repeated.retry_after_s = error.retry_after_s;
    repeated
}

fn work(db: &Db, cache: &Cache, wanted: &Receiver<Wanted>, pulse: &Arc<Pulse>) {
    let mut shared = SharedIds::default();
    // The sender is gone when nobody can ask any more.
    while let Some(first) = (!pulse.is_left_behind()).then(|| wanted.recv().ok()).flatten() {
        let mut batch = vec![first];
        while let Some(next) = (batch.len() < BATCH).then(|| wanted.try_recv().ok()).flatten() {
            batch.push(next);
        }
        // Whoever gave up is not asked for: after a time without a database that may be everybody.
        batch.retain(|wanted| !wanted.is_given_up());
        serve(db, cache, batch, &mut shared, pulse);
    }
}

fn serve(db: &Db, cache: &Cache, batch: Vec<Wanted>, shared: &mut SharedIds, pulse: &Arc<Pulse>) {
    let mut keys: HashMap<WorkspaceId, HashMap<Hash, Vec<Answer<Snapshot>>>> = HashMap::new();
    let mut root_keys: HashMap<Hash, Vec<Answer<Authenticated>>> = HashMap::new();
    for wanted in batch {
        match wanted {
            Wanted::Key(workspace, hash, answer) => {
                keys.entry(workspace).or_default().entry(hash).or_default().push(answer);
            }
            Wanted::RootKey(hash, answer) => root_keys.entry(hash).or_default().push(answer),
        }
    }
    if !root_keys.is_empty() {
        load_root_keys(db, cache, root_keys, pulse);
    }
    for (workspace, wanted) in keys {
        load_keys(db, cache, &workspace, wanted, shared, pulse);
    }
}

fn load_keys(
    db: &Db,
    cache: &Cache,
    workspace: &WorkspaceId,
    wanted: HashMap<Hash, Vec<Answer<Snapshot>>>,
    shared: &mut SharedIds,
    pulse: &Arc<Pulse>,
) {
    let begun = cache.begin();
    let hashes: Vec<_> = wanted.keys().copied().collect();
    let found = db.read_as(pulse, |tx| Ok(snapshot::load_all(tx, workspace, &hashes, shared)?));
    let found: std::result::Result<HashMap<_, _>, _> = found
        .map(|found| found.into_iter().map(|(hash, snapshot)| (hash, Arc::new(snapshot))).collect())
        .map_err(Arc::new);
    for (hash, answers) in wanted {
        let result = found.as_ref().map(|found| found.get(&hash).cloned()).map_err(Arc::clone);
        if let Ok(snapshot) = &result {
            cache.remember_key(begun, workspace, &hash, snapshot.as_ref());
        }
        for answer in answers {
            // Whoever has given up meanwhile does not care.
            let _ = answer.send(result.clone());
        }
    }
}

fn load_root_keys(db: &Db, cache: &Cache, wanted: HashMap<Hash, Vec<Answer<Authenticated>>>, pulse: &Arc<Pulse>) {
    let begun = cache.begin();
    let hashes: Vec<_> = wanted.keys().copied().collect();
    let found = db.read_as(pulse, |tx| Ok((tx.read_at(), root_keys::authenticate_all(tx, &hashes)?)));
    let found: std::result::Result<HashMap<_, _>, _> = found
        .map(|(read, found)| {
            let authenticated = found.into_iter().map(|(hash, root_key, workspace)| {
                let grants = Arc::new(Grants::of(&root_key.permissions));
                (hash, Arc::new(Authenticated::new(root_key, workspace, grants, read)))
            });
            authenticated.collect()
        })
        .map_err(Arc::new);
    for (hash, answers) in wanted {
        let result = found.as_ref().map(|found| found.get(&hash).cloned()).map_err(Arc::clone);
        if let Ok(Some(authenticated)) = &result {
            cache.remember_root_key(begun, &hash, authenticated);
        }
        for answer in answers {
            let _ = answer.send(result.clone());
        }
    }
}
