//! The pool, and the one blocking hop: a request goes to the database once, by `read` or by `write`.

use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::origin::Origin;
use crate::store::audit_log;
use crate::store::cache::Cache;
use crate::store::changes;
use crate::store::conflict;
use crate::store::pool::Manager;
use crate::store::pool::Place;
use crate::store::pool::Pool;
pub use crate::store::pool::PoolState;
use crate::store::pulse::Pulse;
use crate::store::tx::Tx;
use diesel::Connection;
use diesel::pg::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How often a write is tried that lost a race (serialization failure, deadlock, a reference to what is gone).
const WRITE_TRIES: u32 = 5;

/// How the pool behaves.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Connections at most.
    pub connections: u32,
    /// Bound of one request's whole stay in the store, waiting included.
    pub deadline: Duration,
    /// Whether few statements are run again and again, each by its one index.
    pub fixed_plans: bool,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Db {
    pool: Arc<Pool>,
    clock: Clock,
    deadline: Duration,
    /// What is told at once of the changes that are made through this value.
    cache: Option<Arc<Cache>>,
}

impl Db {
    /// Opens a pool. Does not wait for the database: one that is away now may come back.
    ///
    /// # Errors
    /// None today; the pool is lazy.
    #[must_use]
    pub fn open(url: &str, settings: PoolSettings, clock: Clock) -> Self {
        let manager = Manager {
            url: with_timeouts(url),
            statement_timeout: settings.deadline,
            fixed_plans: settings.fixed_plans,
        };
        let pool = Pool::new(manager, settings.connections);
        Self { pool, clock, deadline: settings.deadline, cache: None }
    }

    /// The same, telling a cache at once of the changes that are made through it.
    #[must_use]
    pub fn telling(self, cache: Arc<Cache>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// The clock that transactions read.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The same with a longer deadline, for what handles thousands of rows at once. That the database is away is noticed
    /// as soon as ever, and no single statement may take longer.
    #[must_use]
    pub fn patient(&self, times: u32) -> Self {
        Self { deadline: self.deadline.saturating_mul(times), ..self.clone() }
    }

    /// What the pool is doing.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        self.pool.now()
    }

    /// Asks the database: one consistent, read-only view for all queries of `ask`.
    ///
    /// # Errors
    /// `service_unavailable` within the deadline if the database is away, and whatever `ask` answers.
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.hop(move |db, mut place| db.view_in(&mut place, ask)).await
    }

    /// [`Self::read`] for callers without a runtime: the command line.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn view_now<T>(&self, ask: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.view_in(&mut self.pool.place_now(None)?, ask)
    }

    fn view_in<T>(&self, place: &mut Place, ask: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let now = self.clock.now();
        place.with(self.deadline, |connection| {
            connection
                .build_transaction()
                .read_only()
                .repeatable_read()
                .run(|connection| ask(&mut Tx::new(connection, now)))
        })
    }

    /// Asks one query, without the cost of a transaction: for the data plane.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.hop(move |db, mut place| db.ask_in(&mut place, ask)).await
    }

    /// Changes the database in one transaction, together with its audit rows and the notification of what changed.
    /// `change` may run several times; nothing of a run that failed remains.
    ///
    /// # Errors
    /// `service_unavailable` within the deadline if the database is away, and whatever `change` answers.
    pub async fn write<T: Send + 'static>(
        &self,
        origin: Origin,
        change: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // The answer to COMMIT may be what got lost.
        let unsure = |error: Error| if error.code == Code::ServiceUnavailable { error.unsure() } else { error };
        self.hop(move |db, mut place| db.write_in(&mut place, &origin, change)).await.map_err(unsure)
    }

    /// [`Self::write`] for callers without a runtime: the command line.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_now<T>(&self, origin: &Origin, change: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.write_in(&mut self.pool.place_now(None)?, origin, change)
    }

    fn write_in<T>(
        &self,
        place: &mut Place,
        origin: &Origin,
        mut change: impl FnMut(&mut Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut tries = 1;
        loop {
            let now = self.clock.now();
            let result = place.with(self.deadline, |connection| {
                connection.transaction::<_, Error, _>(|connection| {
                    let mut tx = Tx::new(connection, now);
                    let value = change(&mut tx)?;
                    let (connection, changes, events) = tx.into_parts();
                    audit_log::insert(connection, origin, now, &events)?;
                    changes::notify(connection, &changes)?;
                    Ok((value, changes))
                })
            });
            match result {
                Err(error) if tries < WRITE_TRIES && conflict::lost_a_race(&error) => tries += 1,
                Err(error) => return Err(error),
                Ok((value, changes)) => {
                    // What this node has answered it knows: it does not wait to hear of it.
                    if let Some(cache) = &self.cache {
                        changes.iter().for_each(|change| cache.changed(change));
                    }
                    return Ok(value);
                }
            }
        }
    }

    /// [`Self::ask`] for callers without a runtime: the command line.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_now<T>(&self, ask: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.ask_in(&mut self.pool.place_now(None)?, ask)
    }

    /// The same for a thread of the store, whose pulse notes what goes on.
    pub(in crate::store) fn read_as<T>(
        &self,
        pulse: &Arc<Pulse>,
        ask: impl FnOnce(&mut Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        let answer = self.pool.place_now(Some(pulse)).and_then(|mut place| self.ask_in(&mut place, ask));
        pulse.rests();
        answer
    }

    fn ask_in<T>(&self, place: &mut Place, ask: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let now = self.clock.now();
        place.with(self.deadline, |connection| ask(&mut Tx::new(connection, now)))
    }

    async fn hop<T: Send + 'static>(&self, work: impl FnOnce(&Self, Place) -> Result<T> + Send + 'static) -> Result<T> {
        let db = self.clone();
        let hop = async move {
            // Kept by the thread, not by the future: a caller that gave up does not free the place of a thread that hangs.
            let place = db.pool.place().await?;
            #[expect(clippy::disallowed_methods, reason = "this is the one blocking hop")]
            let hop = tokio::task::spawn_blocking(move || work(&db, place));
            hop.await.unwrap_or_else(|panicked| Err(Error::unexpected(panicked)))
        };
        timeout(self.deadline, hop).await.unwrap_or_else(|elapsed| {
            self.pool.give_up_silent();
            Err(Error::unavailable(elapsed))
        })
    }
}

/// One connection outside the pool, without a bound on statements: migrations.
///
/// # Errors
/// `service_unavailable` if the database cannot be reached, `invalid_input` if the connection string is malformed.
pub fn connect(url: &str) -> Result<PgConnection> {
    PgConnection::establish(&with_timeouts(url)).map_err(|error| {
        if is_malformed(url, &error.to_string()) {
            return Error::new(
                Code::InvalidInput,
                "the connection string of the database (DATABASE_URL) is malformed: expected \
                 postgres://user:password@host:port/database, special characters of the password percent-encoded",
            );
        }
        Error::unavailable(error)
    })
}

/// Whether a connection string could not be read, or not as it was meant. What libpq says of a server is safe to show;
/// of a connection string that it cannot read it quotes a part, most likely of the password.
fn is_malformed(url: &str, fault: &str) -> bool {
    const OF_THE_SERVER: [&str; 4] = ["connection to server", "connect to server", "FATAL", "timeout"];
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()).unwrap_or_default();
    let of_a_name = fault.contains("translate host name") && !fault.contains('@');
    authority.matches('@').count() > 1 || !(of_a_name || OF_THE_SERVER.iter().any(|start| fault.starts_with(start)))
}

/// Adds to a connection string what bounds a silent network; what the operator set stays.
pub(in crate::store) fn with_timeouts(url: &str) -> String {
    const BOUNDS: [(&str, &str); 6] = [
        ("connect_timeout", "2"),
        ("tcp_user_timeout", "5000"),
        ("keepalives_idle", "5"),
        ("keepalives_interval", "1"),
        ("keepalives_count", "3"),
        ("application_name", "keyward"),
    ];
    let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let mut text = url.to_owned();
    for (name, value) in BOUNDS.iter().filter(|(name, _)| !url.contains(name)) {
        let separator = match (is_url, text.contains('?')) {
            (false, _) => ' ',
            (true, false) => '?',
            (true, true) => '&',
        };
        text.push(separator);
        text.push_str(&format!("{name}={value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::is_malformed;
    use super::with_timeouts;

    #[test]
    fn what_libpq_quotes_of_a_connection_string_is_not_shown() {
        for quoted in [
            "missing \"=\" after \"s3cret\" in connection info string",
            "invalid percent-encoded token: \"s3cret%zz\"",
            "could not translate host name \"s3cret@db\" to address: Name or service not known",
            "invalid integer value \"s3cret\" for connection option \"port\"",
        ] {
            assert!(is_malformed("postgres://h/db", quoted), "{quoted}");
        }
        for said in [
            "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused",
            "could not translate host name \"db\" to address: Name or service not known",
        ] {
            assert!(!is_malformed("postgres://u:p@h/db", said), "{said}");
            assert!(is_malformed("postgres://u:p@rt@h/db", said), "{said}");
        }
    }

    #[test]
    fn a_connection_string_is_bounded_in_both_forms() {
        let url = with_timeouts("postgres://u@h/db?sslmode=require&connect_timeout=9");
        assert!(url.starts_with("postgres://u@h/db?sslmode=require&connect_timeout=9&tcp_user_timeout=5000&"), "{url}");
        assert!(with_timeouts("postgres://u@h/db").contains("/db?connect_timeout=2&"));
        assert!(with_timeouts("host=/run dbname=x").starts_with("host=/run dbname=x connect_timeout=2 "));
    }
}
