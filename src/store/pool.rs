//! Connections of the pool. One that has rested is tested before it is handed out; one that was used a moment ago is not,
//! since that would double the round trips under load.

use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use diesel::Connection;
use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use std::time::Duration;
use std::time::Instant;

/// A connection that was used within this time is taken to live. If it does not, one request learns so by a 503, at a time
/// when the database was there a moment ago.
pub(in crate::store) const RESTED: Duration = Duration::from_millis(250);

/// Makes and judges connections.
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

/// One connection of the pool.
pub(in crate::store) struct Pooled {
    connection: PgConnection,
    used: Instant,
    broken: bool,
}

impl Pooled {
    /// Works with the connection. After an error that says that the database is away it is not used again.
    ///
    /// # Errors
    /// Those of `work`.
    pub(in crate::store) fn with<T>(&mut self, work: impl FnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let result = work(&mut self.connection);
        self.broken |= result.as_ref().is_err_and(|error: &Error| error.code == Code::ServiceUnavailable);
        self.used = Instant::now();
        result
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> std::result::Result<Pooled, Self::Error> {
        let mut connection = PgConnection::establish(&self.url).map_err(diesel::r2d2::Error::ConnectionError)?;
        let ms = self.statement_timeout.as_millis();
        connection
            .batch_execute(&format!(
                "SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = 10000; SET timezone = 'UTC'"
            ))
            .map_err(diesel::r2d2::Error::QueryError)?;
        if self.fixed_plans {
            connection
                .batch_execute(
                    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                     SET enable_hashjoin = off; SET enable_mergejoin = off; SET join_collapse_limit = 1",
                )
                .map_err(diesel::r2d2::Error::QueryError)?;
        }
        Ok(Pooled { connection, used: Instant::now(), broken: false })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> std::result::Result<(), Self::Error> {
        if pooled.used.elapsed() < RESTED {
            return Ok(());
        }
        let answer = diesel::sql_query("SELECT 1").execute(&mut pooled.connection);
        answer.map(drop).map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        use diesel::r2d2::R2D2Connection;
        // Whoever panicked may have left a transaction open.
        pooled.broken || std::thread::panicking() || pooled.connection.is_broken()
    }
}
