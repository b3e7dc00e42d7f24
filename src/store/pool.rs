//! The pool: so many places, each with one connection at most. One that has rested is tested before it is used; one that was
//! used a moment ago is not, since that would double the round trips under load. A place whose connection is silent for ever
//! is given to somebody else.

use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::store::pulse::Hanging;
use crate::store::pulse::Pulse;
use diesel::Connection;
use diesel::ConnectionResult;
use diesel::RunQueryDsl;
use diesel::connection::AnsiTransactionManager;
use diesel::connection::SimpleConnection;
use diesel::connection::TransactionManager;
use diesel::pg::PgConnection;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

/// A connection that was used within this time is taken to live. If it does not, one request learns so by a 503, at a time
/// when the database was there a moment ago.
pub(in crate::store) const RESTED: Duration = Duration::from_millis(250);
/// A connection that nobody has needed for so long is closed.
const LONGEST_REST: Duration = Duration::from_secs(600);
/// A connection is not used for longer: servers behind one name change, and what Postgres remembers for it grows.
const LONGEST_LIFE: Duration = Duration::from_secs(1800);
/// Pause between two attempts to connect.
const CONNECT_AGAIN: Duration = Duration::from_millis(100);
/// How often it is said at most that there is no connection.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// Pause of a caller without a runtime that waits for a place.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Makes connections.
#[derive(Debug)]
pub(in crate::store) struct Manager {
    /// The connection string, with its bounds.
    pub(in crate::store) url: String,
    /// Bound of one statement.
    pub(in crate::store) statement_timeout: Duration,
    /// Whether few statements are run again and again, each by its one index: then they are planned once a connection, tables
    /// joined in the order of the text. A plan made while a table was small may not be one that reads all of it.
    pub(in crate::store) fixed_plans: bool,
}

impl Manager {
    fn connect(&self, pulse: &Arc<Pulse>) -> ConnectionResult<Pooled> {
        pulse.connects();
        let mut connection = PgConnection::establish(&self.url)?;
        pulse.follows(&mut connection);
        let ms = self.statement_timeout.as_millis();
        connection
            .batch_execute(&format!(
                "SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = 10000; SET timezone = 'UTC'"
            ))
            .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
        if self.fixed_plans {
            connection
                .batch_execute(
                    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                     SET enable_hashjoin = off; SET enable_mergejoin = off; SET join_collapse_limit = 1",
                )
                .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
        }
        let now = Instant::now();
        Ok(Pooled { connection, made: now, used: now, broken: false })
    }
}

/// One connection of the pool.
struct Pooled {
    connection: PgConnection,
    made: Instant,
    used: Instant,
    broken: bool,
}

/// What the pool is doing, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct PoolState {
    /// Open connections.
    pub connections: usize,
    /// Those that nobody uses.
    pub idle: usize,
    /// Those that were given up because the database was silent on them, and that somebody still waits on.
    pub hanging: usize,
}

/// The pool.
pub(in crate::store) struct Pool {
    manager: Manager,
    places: Arc<Semaphore>,
    state: Mutex<State>,
    hanging: Hanging,
}

#[derive(Default)]
struct State {
    /// Those used last at the end.
    idle: VecDeque<Pooled>,
    /// The places that are taken.
    busy: HashMap<u64, Arc<Pulse>>,
    taken: u64,
    said: Option<Instant>,
}

impl Pool {
    /// So many places. Connections are made when they are needed.
    pub(in crate::store) fn new(manager: Manager, places: u32) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(1)));
        Arc::new(Self { manager, places, state: Mutex::default(), hanging: Hanging::default() })
    }

    /// Waits for a place, for as long as the caller does.
    ///
    /// # Errors
    /// None: the places are there for as long as the pool is.
    pub(in crate::store) async fn place(self: &Arc<Self>) -> Result<Place> {
        self.give_up_silent();
        let permit = Arc::clone(&self.places).acquire_owned().await.map_err(Error::unexpected)?;
        Ok(self.taken(permit, Pulse::new(self.manager.statement_timeout)))
    }

    /// The same for callers without a runtime. What goes on in the place is noted by the caller's own pulse.
    ///
    /// # Errors
    /// `service_unavailable` if there is none within a statement's bound.
    pub(in crate::store) fn place_now(self: &Arc<Self>, pulse: Option<&Arc<Pulse>>) -> Result<Place> {
        let begun = Instant::now();
        loop {
            self.give_up_silent();
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(permit) => {
                    let pulse = pulse.cloned().unwrap_or_else(|| Pulse::new(self.manager.statement_timeout));
                    return Ok(self.taken(permit, pulse));
                }
                Err(full) if begun.elapsed() > self.manager.statement_timeout => return Err(Error::unavailable(full)),
                Err(_full) => std::thread::park_timeout(LOOK_AGAIN),
            }
        }
    }

    fn taken(self: &Arc<Self>, permit: OwnedSemaphorePermit, pulse: Arc<Pulse>) -> Place {
        let mut state = self.state();
        state.taken = state.taken.wrapping_add(1);
        let number = state.taken;
        state.busy.insert(number, Arc::clone(&pulse));
        drop(state);
        let made = Instant::now();
        Place { pool: Arc::clone(self), number, pulse, permit: Some(permit), connection: None, made }
    }

    /// Gives places of silent connections to others, and closes what rests and was last heard of before.
    pub(in crate::store) fn give_up_silent(&self) {
        let mut state = self.state();
        let overdue = state.busy.iter().filter(|(_, pulse)| pulse.is_overdue()).map(|(number, _)| *number);
        let overdue: Vec<_> = overdue.collect();
        if overdue.is_empty() {
            return;
        }
        let mut suspects = Vec::new();
        for number in overdue {
            if !self.hanging.begin() {
                break;
            }
            if let Some(pulse) = state.busy.remove(&number) {
                let ms = pulse.patience().as_millis();
                tracing::warn!(ms, "the database does not answer on a connection of the pool; it is given up");
                self.places.add_permits(1);
                while state.idle.front().is_some_and(|idle| idle.used.elapsed() >= pulse.patience()) {
                    suspects.extend(state.idle.pop_front());
                }
            }
        }
        drop(state);
        // Closed without the lock: that talks to the network.
        drop(suspects);
    }

    /// What the pool is doing.
    pub(in crate::store) fn now(&self) -> PoolState {
        let (state, hanging) = (self.state(), self.hanging.count());
        PoolState {
            connections: state.idle.len().saturating_add(state.busy.len()).saturating_add(hanging),
            idle: state.idle.len(),
            hanging,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why there is no connection. The message of libpq names host and user, never the password.
    fn say(&self, error: &diesel::ConnectionError) {
        let mut state = self.state();
        if state.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            state.said = Some(Instant::now());
            tracing::warn!(%error, "no connection to the database");
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A place in the pool, for one thread.
pub(in crate::store) struct Place {
    pool: Arc<Pool>,
    number: u64,
    pulse: Arc<Pulse>,
    permit: Option<OwnedSemaphorePermit>,
    connection: Option<Pooled>,
    made: Instant,
}

impl Place {
    /// Works with the connection. After an error that says that the database is away it is not used again. Does not begin if
    /// there is no connection within `patience`.
    ///
    /// # Errors
    /// Those of `work`; `service_unavailable` if there is no connection.
    pub(in crate::store) fn with<T>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        let mut pooled = match self.connection.take() {
            Some(pooled) => pooled,
            None => self.connect(patience)?,
        };
        let result = work(&mut pooled.connection);
        pooled.broken |= result.as_ref().is_err_and(|error: &Error| error.code == Code::ServiceUnavailable);
        pooled.used = Instant::now();
        self.connection = Some(pooled);
        result
    }

    fn connect(&self, patience: Duration) -> Result<Pooled> {
        while let Some(mut pooled) = self.rested() {
            self.pulse.follows(&mut pooled.connection);
            if pooled.used.elapsed() < RESTED {
                return self.in_time(pooled, patience);
            }
            if diesel::sql_query("SELECT 1").execute(&mut pooled.connection).is_ok() {
                pooled.used = Instant::now();
                return self.in_time(pooled, patience);
            }
        }
        loop {
            match self.pool.manager.connect(&self.pulse) {
                Ok(pooled) => return self.in_time(pooled, patience),
                Err(error) => {
                    self.pool.say(&error);
                    // Shorter than the patience: whoever waits for a database that is away shall hear so in time.
                    if self.made.elapsed().saturating_add(CONNECT_AGAIN) > patience.mul_f64(0.75) {
                        return Err(Error::unavailable(error));
                    }
                }
            }
            std::thread::park_timeout(CONNECT_AGAIN);
        }
    }

    fn rested(&self) -> Option<Pooled> {
        self.pool.state().idle.pop_back()
    }

    /// A connection that came too late is for others: who asked for it has been told that the database is away.
    fn in_time(&self, pooled: Pooled, patience: Duration) -> Result<Pooled> {
        if self.made.elapsed() <= patience && !self.pulse.is_left_behind() {
            return Ok(pooled);
        }
        let mut state = self.pool.state();
        let closed = if state.busy.contains_key(&self.number) {
            state.idle.push_back(pooled);
            None
        } else {
            Some(pooled)
        };
        drop(state);
        drop(closed);
        Err(Error::unavailable("a connection to the database came too late"))
    }
}

impl Pooled {
    fn is_good(&mut self) -> bool {
        // Whoever panicked may have left a transaction open.
        !self.broken
            && !std::thread::panicking()
            && self.made.elapsed() < LONGEST_LIFE
            && !AnsiTransactionManager::is_broken_transaction_manager(&mut self.connection)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut pooled = self.connection.take();
        let good = pooled.as_mut().is_some_and(Pooled::is_good);
        let mut state = self.pool.state();
        let is_mine = state.busy.remove(&self.number).is_some();
        let mut closed = Vec::new();
        if is_mine {
            state.idle.extend(pooled.take_if(|_| good));
            while state.idle.front().is_some_and(|idle| idle.used.elapsed() > LONGEST_REST) {
                closed.extend(state.idle.pop_front());
            }
        }
        drop(state);
        drop(closed);
        if !is_mine {
            // Somebody else has the place.
            self.pool.hanging.end();
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
    }
}
