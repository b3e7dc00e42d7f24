//! What `doctor` wants to know of the database.

use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::store::tx::Tx;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

/// The server behind the connection.
#[derive(Clone, Debug, QueryableByName)]
pub struct Health {
    /// Postgres' version.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// Its clock.
    #[diesel(sql_type = Timestamptz)]
    pub now: Timestamp,
    /// `fsync`.
    #[diesel(sql_type = Text)]
    pub fsync: String,
    /// `synchronous_commit`.
    #[diesel(sql_type = Text)]
    pub synchronous_commit: String,
    /// `max_connections`.
    #[diesel(sql_type = Text)]
    pub max_connections: String,
}

/// Asks the server about itself.
///
/// # Errors
/// Whatever the database says.
pub fn ask(tx: &mut Tx<'_>) -> Result<Health> {
    Ok(diesel::sql_query(
        "SELECT current_setting('server_version') AS version, clock_timestamp() AS now, \
         current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit, \
         current_setting('max_connections') AS max_connections",
    )
    .get_result(tx.connection)?)
}
