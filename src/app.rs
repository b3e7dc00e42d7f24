//! What one process owns, wired once.

use crate::config::Malformed;
use crate::config::Settings;
use crate::domain::decisions::record::Denials;
use crate::domain::events;
use crate::domain::events::Events;
use crate::domain::last_used::LastUsed;
use crate::domain::nodes::Nodes;
use crate::limiter::Limiter;
use crate::limiter::edge::Edge;
use crate::limiter::memory::Memory;
use crate::limiter::redis::Redis;
use crate::metrics::Metrics;
use crate::model::clock::Clock;
use crate::model::master_key::MasterKeys;
use crate::store::cache::Cache;
use crate::store::database::Db;
use crate::store::database::PoolSettings;
use crate::store::ledger::Ledger;
use crate::store::listener::Listener;
use crate::store::loader::Loader;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Connections for verification: one for the loader, one for heartbeats.
const DATA_PLANE_CONNECTIONS: u32 = 2;
/// Those, and one each to hear of changes and to spend credits.
pub const CONNECTIONS_BESIDE_THE_POOL: u32 = DATA_PLANE_CONNECTIONS + 2;

/// One process.
#[derive(Debug)]
pub struct App {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// Opens and seals recoverable keys.
    pub master_keys: MasterKeys,
    /// How it was told to serve.
    pub settings: Settings,
    /// Limits of the service's own edge.
    pub edge: Edge,
    /// What is counted.
    pub metrics: Metrics,
    /// The database for verification: with connections of its own, which nothing else waits for.
    pub data_plane: Db,
    /// What is remembered of keys and root keys.
    pub cache: Arc<Cache>,
    /// Loads what is not.
    pub loader: Loader,
    /// Hears what other nodes change.
    pub listener: Listener,
    /// Where rate limits are counted.
    pub limiter: Arc<Limiter>,
    /// Spends credits.
    pub ledger: Ledger,
    /// The other servers on the database.
    pub nodes: Nodes,
    /// Verifications that wait to be written.
    pub events: Events,
    /// Denials that wait to be recorded.
    pub denials: Denials,
    /// Uses of root keys that wait to be written.
    pub last_used: LastUsed,
    draining: AtomicBool,
    begun: AtomicUsize,
    in_flight: AtomicUsize,
}

impl App {
    /// Wires a process. Does not wait for the database, nor for Redis.
    ///
    /// # Errors
    /// A setting that cannot be used; a metric that cannot be registered: a bug. A system that starts no further thread.
    pub fn new(settings: Settings, database_url: &str, master_keys: MasterKeys, clock: Clock) -> Result<Self, Unwired> {
        let metrics = Metrics::new()?;
        let pool = PoolSettings {
            connections: settings.database_connections,
            deadline: settings.database_timeout(),
            fixed_plans: false,
        };
        let cache =
            Arc::new(Cache::new(usize::try_from(settings.cache_entries).unwrap_or(usize::MAX), settings.max_staleness));
        let db = Db::open(database_url, pool, clock.clone()).telling(Arc::clone(&cache));
        let few = PoolSettings { connections: DATA_PLANE_CONNECTIONS, fixed_plans: true, ..pool };
        let data_plane = Db::open(database_url, few, clock.clone());
        let loader = Loader::start(data_plane.clone(), Arc::clone(&cache), settings.database_timeout())?;
        let listener = Listener::start(database_url, &cache, settings.max_staleness)?;
        let limiter = limiter(&settings)?;
        Ok(Self {
            nodes: Nodes::new(limiter.place()),
            limiter: Arc::new(limiter),
            ledger: Ledger::open(database_url, settings.database_timeout(), clock.clone(), metrics.ledger.clone())?,
            db,
            data_plane,
            cache,
            loader,
            listener,
            edge: Edge::new(settings.auth_failures_per_minute, clock.clone()),
            events: Events::new(events::QUEUE, metrics.events()),
            denials: Denials::new(metrics.decisions()),
            metrics,
            last_used: LastUsed::default(),
            draining: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            clock,
            master_keys,
            settings,
        })
    }

    /// By who uses them, connections that were given up since the database was silent on them, and that still hang.
    #[must_use]
    pub fn hanging(&self) -> [(&'static str, usize); 4] {
        [
            ("pool", self.db.pool_state().hanging),
            ("verification", self.data_plane.pool_state().hanging),
            ("ledger", self.ledger.hanging()),
            ("listener", self.listener.hanging()),
        ]
    }

    /// Whether the process is about to end and takes no new work.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Announces the end.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Requests that were ever begun.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Acquire)
    }

    /// Requests that were begun and not answered.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts a request for as long as the value lives.
    #[must_use]
    pub fn begin_request(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }
}

/// Where rate limits are counted. What is in memory decides once the server has loaded what was counted before.
fn limiter(settings: &Settings) -> Result<Limiter, Malformed> {
    Ok(match settings.redis.url()? {
        Some(url) => Limiter::Redis(Redis::open(url.reveal(), settings.redis.timeout())?),
        None => Limiter::Memory(Memory::closed(usize::try_from(settings.ratelimit_counters).unwrap_or(usize::MAX))),
    })
}

/// Why a process cannot be wired.
#[derive(Debug)]
pub enum Unwired {
    /// A setting cannot be used.
    Setting(Malformed),
    /// A metric cannot be registered: a bug.
    Metric(prometheus::Error),
    /// The system starts no further thread.
    Thread(io::Error),
}

impl From<io::Error> for Unwired {
    fn from(error: io::Error) -> Self {
        Self::Thread(error)
    }
}

impl From<Malformed> for Unwired {
    fn from(malformed: Malformed) -> Self {
        Self::Setting(malformed)
    }
}

impl From<prometheus::Error> for Unwired {
    fn from(error: prometheus::Error) -> Self {
        Self::Metric(error)
    }
}

impl fmt::Display for Unwired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(malformed) => malformed.fmt(f),
            Self::Metric(error) => error.fmt(f),
            Self::Thread(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unwired {}

/// One request that was begun.
#[derive(Debug)]
pub struct InFlight(Arc<App>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
