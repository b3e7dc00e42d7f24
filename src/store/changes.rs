//! Tells every node what changed: `pg_notify` inside the transaction that changed it.

use crate::model::change::Change;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::store::tx::Tx;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::pg::PgConnection;
use diesel::sql_types::Text;

/// The channel that nodes listen on.
pub const CHANNEL: &str = "keyward_changes";

/// The channel on which each node proves to itself that it hears.
pub const HEARTBEATS: &str = "keyward_heartbeats";

/// Sends a heartbeat.
///
/// # Errors
/// Whatever the database says.
pub(in crate::store) fn beat(tx: &mut Tx<'_>, payload: &str) -> QueryResult<()> {
    send(tx.connection, HEARTBEATS, payload)
}

/// Sends each change. Postgres delivers them when the transaction commits, and never if it does not.
///
/// # Errors
/// Whatever the database says.
pub(in crate::store) fn notify(connection: &mut PgConnection, changes: &[Change]) -> Result<()> {
    for change in changes {
        let payload = serde_json::to_string(change).map_err(Error::unexpected)?;
        send(connection, CHANNEL, &payload)?;
    }
    Ok(())
}

fn send(connection: &mut PgConnection, channel: &str, payload: &str) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_notify($1, $2)")
        .bind::<Text, _>(channel)
        .bind::<Text, _>(payload)
        .execute(connection)?;
    Ok(())
}
