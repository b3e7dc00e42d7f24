//! Audit rows, written in the transaction of the mutation that they tell of.

use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::AuditId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::store::tx::AuditEvent;
use crate::store::tx::MAX_ROWS;
use diesel::RunQueryDsl;
use diesel::pg::PgConnection;
use diesel::sql_types::Array;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

/// Writes the rows of one transaction.
///
/// # Errors
/// Whatever the database says: what cannot be audited does not happen.
pub(in crate::store) fn insert(
    connection: &mut PgConnection,
    origin: &Origin,
    at: Timestamp,
    events: &[AuditEvent],
) -> Result<()> {
    for events in events.chunks(MAX_ROWS) {
        insert_some(connection, origin, at, events)?;
    }
    Ok(())
}

fn insert_some(connection: &mut PgConnection, origin: &Origin, at: Timestamp, events: &[AuditEvent]) -> Result<()> {
    let (actor_type, actor_id, actor_name) = match &origin.actor {
        Actor::RootKey { id, name } => ("rootkey", id.as_str(), name.as_ref()),
        Actor::CommandLine => ("operator", "cli", "command line"),
        Actor::System => ("system", "keyward", "keyward"),
    };
    let (mut ids, mut workspaces, mut names, mut displays, mut resources) = (vec![], vec![], vec![], vec![], vec![]);
    for event in events {
        ids.push(AuditId::generate());
        workspaces.push(&event.workspace);
        names.push(event.event.name());
        displays.push(&event.display);
        resources.push(serde_json::to_string(&event.resources).map_err(Error::unexpected)?);
    }
    diesel::sql_query(
        "INSERT INTO audit_log (id, workspace_id, at, event, actor_type, actor_id, actor_name, display, address, \
         user_agent, correlation_id, resources) \
         SELECT id, workspace_id, $1, event, $2, $3, $4, display, $5, $6, $7, resources::jsonb \
         FROM unnest($8, $9, $10, $11, $12) AS row (id, workspace_id, event, display, resources)",
    )
    .bind::<Timestamptz, _>(at)
    .bind::<Text, _>(actor_type)
    .bind::<Text, _>(actor_id)
    .bind::<Text, _>(actor_name)
    .bind::<Nullable<Text>, _>(origin.address.map(|address| address.to_string()))
    .bind::<Nullable<Text>, _>(origin.user_agent.as_deref())
    .bind::<Text, _>(origin.request_id.as_str())
    .bind::<Array<Text>, _>(ids)
    .bind::<Array<Text>, _>(workspaces)
    .bind::<Array<Text>, _>(names)
    .bind::<Array<Text>, _>(displays)
    .bind::<Array<Text>, _>(resources)
    .execute(connection)?;
    Ok(())
}
