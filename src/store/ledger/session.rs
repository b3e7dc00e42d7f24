//! The ledger's own connection: opened when it is needed, tested when it has rested, given up when it failed.
#![deny(clippy::arithmetic_side_effects)]

use crate::store::conflict;
use crate::store::database::with_timeouts;
use crate::store::ledger::Fault;
use crate::store::ledger::statement::Lock;
use crate::store::pool::RESTED;
use crate::store::pulse::Pulse;
use diesel::Connection;
use diesel::PgConnection;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::result::Error as DieselError;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// How often a statement is run that lost a race and was rolled back.
const TRIES: u32 = 3;

/// One connection, or the wish for one.
pub(super) struct Session {
    url: String,
    deadline: Duration,
    connection: Option<PgConnection>,
    used: Instant,
    pulse: Arc<Pulse>,
}

impl Session {
    /// Does not connect yet.
    pub(super) fn new(url: &str, deadline: Duration, pulse: Arc<Pulse>) -> Self {
        Self { url: with_timeouts(url), deadline, connection: None, used: Instant::now(), pulse }
    }

    /// Whether another one has taken over.
    pub(super) fn is_left_behind(&self) -> bool {
        self.pulse.is_left_behind()
    }

    /// Runs what is atomic: one statement, or one transaction. After a failure that was rolled back for certain it runs
    /// again: as it was if it lost a race, else without waiting for rows that others hold. Returns how locks were treated.
    pub(super) fn run<T>(
        &mut self,
        lock: Lock,
        work: impl Fn(&mut PgConnection, Lock) -> QueryResult<T>,
    ) -> Result<(T, Lock), Fault> {
        let result = self.attempt(lock, work);
        self.pulse.rests();
        result
    }

    fn attempt<T>(
        &mut self,
        mut lock: Lock,
        work: impl Fn(&mut PgConnection, Lock) -> QueryResult<T>,
    ) -> Result<(T, Lock), Fault> {
        let mut races = 1;
        loop {
            let pulse = Arc::clone(&self.pulse);
            let connection = self.ready().map_err(|reason| Fault { certain: true, reason })?;
            // Those who waited were told that it may have been made. It need not be.
            if pulse.is_left_behind() {
                return Err(Fault { certain: true, reason: "the connection came too late".to_owned() });
            }
            let result = work(connection, lock);
            self.used = Instant::now();
            let error = match result {
                Ok(done) => return Ok((done, lock)),
                Err(error) => error,
            };
            if !self.lives() {
                // The answer to a commit may be what got lost.
                self.connection = None;
                return Err(Fault { certain: false, reason: error.to_string() });
            }
            // The server said no and goes on: nothing of it remains.
            if conflict::is_lost_race(&error) && races < TRIES {
                races = races.saturating_add(1);
            } else if lock == Lock::Wait {
                lock = Lock::Skip;
            } else {
                // A new session may do better: other plans, another server behind the same name.
                self.connection = None;
                return Err(Fault { certain: true, reason: error.to_string() });
            }
        }
    }

    /// A connection that lives, as far as one can know.
    fn ready(&mut self) -> Result<&mut PgConnection, String> {
        if self.connection.is_some() && self.used.elapsed() >= RESTED && !self.lives() {
            self.connection = None;
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            empty => Ok(empty.insert(open(&self.url, self.deadline, &self.pulse)?)),
        }
    }

    /// Whether the connection answers.
    fn lives(&mut self) -> bool {
        self.connection.as_mut().is_some_and(|connection| diesel::sql_query("SELECT 1").execute(connection).is_ok())
    }
}

fn open(url: &str, deadline: Duration, pulse: &Arc<Pulse>) -> Result<PgConnection, String> {
    pulse.connects();
    let mut connection = PgConnection::establish(url).map_err(|error| error.to_string())?;
    pulse.follows(&mut connection);
    let part = |of: u32| deadline.checked_div(of).unwrap_or(deadline).as_millis().max(1);
    let settings = format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
         SET idle_in_transaction_session_timeout = 10000; SET timezone = 'UTC'; \
         SET plan_cache_mode = force_generic_plan; \
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
         SELECT set_config('synchronous_commit', 'on', false) \
             WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')",
        statement = part(2),
        // A row that somebody holds delays the others by this, once.
        lock = part(4),
    );
    connection.batch_execute(&settings).map_err(|error: DieselError| error.to_string())?;
    Ok(connection)
}
