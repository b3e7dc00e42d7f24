//! What one process owns, wired once.

use crate::config::Settings;
use crate::domain::events;
use crate::domain::events::Events;
use crate::domain::last_used::LastUsed;
use crate::limiter::Limiter;
use crate::limiter::edge::Edge;
use crate::limiter::memory::Memory;
use crate::metrics::Metrics;
use crate::model::clock::Clock;
use crate::model::master_key::MasterKeys;
use crate::store::database::Db;
use crate::store::database::PoolSettings;
use crate::store::ledger::Ledger;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

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
    /// Where rate limits are counted.
    pub limiter: Arc<Limiter>,
    /// Spends credits.
    pub ledger: Ledger,
    /// Verifications that wait to be written.
    pub events: Events,
    /// Uses of root keys that wait to be written.
    pub last_used: LastUsed,
    draining: AtomicBool,
    begun: AtomicUsize,
    in_flight: AtomicUsize,
}

impl App {
    /// Wires a process. Does not wait for the database.
    ///
    /// # Errors
    /// A metric that cannot be registered: a bug.
    pub fn new(
        settings: Settings,
        database_url: &str,
        master_keys: MasterKeys,
        clock: Clock,
    ) -> Result<Self, prometheus::Error> {
        let pool = PoolSettings { connections: settings.database_connections, deadline: settings.database_timeout() };
        let db = Db::open(database_url, pool, clock.clone());
        let metrics = Metrics::new()?;
        Ok(Self {
            limiter: Arc::new(Limiter::Memory(Memory::new(
                usize::try_from(settings.ratelimit_counters).unwrap_or(usize::MAX),
            ))),
            ledger: Ledger::open(&db),
            db,
            edge: Edge::new(settings.auth_failures_per_minute, clock.clone()),
            events: Events::new(events::QUEUE, metrics.events()),
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

/// One request that was begun.
#[derive(Debug)]
pub struct InFlight(Arc<App>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
