//! The pool, by r2d2: so many places, each with one connection at most. One that has rested is tested before it is used; one that
//! was used a moment ago is not, since that would double the round trips under load. A place whose connection is silent for
//! ever is given to somebody else.

use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::store::pulse::Hanging;
use crate::store::pulse::MAX_HANGING;
use crate::store::pulse::Pulse;
use diesel::Connection;
use diesel::ConnectionResult;
use diesel::RunQueryDsl;
use diesel::connection::AnsiTransactionManager;
use diesel::connection::SimpleConnection;
use diesel::connection::TransactionManager;
use diesel::pg::PgConnection;
use std::collections::HashMap;
use std::convert::Infallible;
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
    fn open(&self, pulse: &Arc<Pulse>) -> ConnectionResult<PgConnection> {
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
        Ok(connection)
    }
}

/// What r2d2 makes. It would connect in threads of its own, few of them, where a database that is silent held up all others; so what
/// it makes is room for a connection, and whoever uses that connects.
struct Rooms;

impl r2d2::ManageConnection for Rooms {
    type Connection = Pooled;
    type Error = Infallible;

    fn connect(&self) -> Result<Pooled, Infallible> {
        Ok(Pooled { connection: None, used: Instant::now(), broken: false })
    }

    fn is_valid(&self, _pooled: &mut Pooled) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        let open = pooled.connection.as_mut().is_some_and(AnsiTransactionManager::is_broken_transaction_manager);
        // Whoever panicked may have left a transaction open.
        pooled.broken || open || std::thread::panicking()
    }
}

/// Room for one connection of the pool, which is made when it is needed.
pub(in crate::store) struct Pooled {
    connection: Option<PgConnection>,
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
    connections: r2d2::Pool<Rooms>,
    /// One for each connection that may be in use; r2d2 has room for those beside them that nobody will use again.
    places: Arc<Semaphore>,
    state: Mutex<State>,
    hanging: Hanging,
}

#[derive(Default)]
struct State {
    /// The places that are taken.
    busy: HashMap<u64, Arc<Pulse>>,
    taken: u64,
    /// A connection that was not used since may be as silent as one that was given up.
    suspect: Option<Instant>,
    said: Option<Instant>,
}

impl Pool {
    /// So many places. Connections are made when they are needed.
    pub(in crate::store) fn new(manager: Manager, places: u32) -> Arc<Self> {
        let connections = r2d2::Pool::builder()
            .max_size(places.saturating_add(u32::try_from(MAX_HANGING).unwrap_or(0)))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .build_unchecked(Rooms);
        let places = Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(1)));
        let (state, hanging) = (Mutex::default(), Hanging::default());
        Arc::new(Self { manager, connections, places, state, hanging })
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

    /// Gives places of silent connections to others. What rests and was last heard of before is not used again.
    pub(in crate::store) fn give_up_silent(&self) {
        let mut state = self.state();
        let overdue = state.busy.iter().filter(|(_, pulse)| pulse.is_overdue()).map(|(number, _)| *number);
        let overdue: Vec<_> = overdue.collect();
        if overdue.is_empty() {
            return;
        }
        for number in overdue {
            if !self.hanging.begin() {
                break;
            }
            if let Some(pulse) = state.busy.remove(&number) {
                let ms = pulse.patience().as_millis();
                tracing::warn!(ms, "the database does not answer on a connection of the pool; it is given up");
                self.places.add_permits(1);
                state.suspect = Instant::now().checked_sub(pulse.patience()).max(state.suspect);
            }
        }
    }

    /// What the pool is doing.
    pub(in crate::store) fn now(&self) -> PoolState {
        let (state, hanging) = (self.connections.state(), self.hanging.count());
        let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        PoolState { connections: number(state.connections), idle: number(state.idle_connections), hanging }
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
    connection: Option<r2d2::PooledConnection<Rooms>>,
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
        let Pooled { connection: Some(connection), used, broken } = &mut *pooled else {
            return Err(Error::unexpected("a connection of the pool that is none"));
        };
        let result = work(connection);
        *broken |= result.as_ref().is_err_and(|error: &Error| error.code == Code::ServiceUnavailable);
        *used = Instant::now();
        self.connection = Some(pooled);
        result
    }

    fn connect(&self, patience: Duration) -> Result<r2d2::PooledConnection<Rooms>> {
        let mut pooled = self.pool.connections.get_timeout(patience).map_err(Error::unavailable)?;
        if !self.lives(&mut pooled) {
            // Closed before the next one is made.
            drop(pooled.connection.take());
            pooled.connection = Some(self.open(patience)?);
        }
        pooled.used = Instant::now();
        self.in_time(pooled, patience)
    }

    /// Whether there is a connection that may be used.
    fn lives(&self, pooled: &mut Pooled) -> bool {
        let (used, suspect) = (pooled.used, self.pool.state().suspect);
        let Some(connection) = pooled.connection.as_mut().filter(|_| suspect.is_none_or(|suspect| used > suspect))
        else {
            return false;
        };
        self.pulse.follows(connection);
        used.elapsed() < RESTED || diesel::sql_query("SELECT 1").execute(connection).is_ok()
    }

    fn open(&self, patience: Duration) -> Result<PgConnection> {
        loop {
            match self.pool.manager.open(&self.pulse) {
                Ok(connection) => return Ok(connection),
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

    /// A connection that came too late is for others: who asked for it has been told that the database is away.
    fn in_time(
        &self,
        mut pooled: r2d2::PooledConnection<Rooms>,
        patience: Duration,
    ) -> Result<r2d2::PooledConnection<Rooms>> {
        let is_mine = self.pool.state().busy.contains_key(&self.number);
        if is_mine && self.made.elapsed() <= patience && !self.pulse.is_left_behind() {
            return Ok(pooled);
        }
        pooled.broken |= !is_mine;
        Err(Error::unavailable("a connection to the database came too late"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_mine = self.pool.state().busy.remove(&self.number).is_some();
        if let Some(pooled) = &mut self.connection {
            pooled.broken |= !is_mine;
        }
        // Back to the others before its place is.
        drop(self.connection.take());
        if !is_mine {
            // Somebody else has the place.
            self.pool.hanging.end();
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
    }
}
