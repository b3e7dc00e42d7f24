//! Audit rows, written in the transaction of the mutation that they tell of.

use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::AuditId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::schema::audit_log;
use crate::store::tx::AuditEvent;
use diesel::ExpressionMethods;
use diesel::RunQueryDsl;
use diesel::pg::PgConnection;

/// Writes the rows of one transaction.
///
/// # Errors
/// Whatever the database says: what cannot be audited does not happen.
pub(in crate::store) fn insert(
    connection: &mut PgConnection,
    origin: &Origin,
    at: Timestamp,
    events: Vec<AuditEvent>,
) -> Result<()> {
    let (actor_type, actor_id, actor_name) = match &origin.actor {
        Actor::RootKey { id, name } => ("rootkey", id.as_str(), name.as_str()),
        Actor::CommandLine => ("operator", "cli", "command line"),
        Actor::System => ("system", "keyward", "keyward"),
    };
    let rows: Vec<_> = events
        .into_iter()
        .map(|event| {
            Ok((
                audit_log::id.eq(AuditId::generate()),
                audit_log::workspace_id.eq(event.workspace),
                audit_log::at.eq(at),
                audit_log::event.eq(event.event.name()),
                audit_log::actor_type.eq(actor_type),
                audit_log::actor_id.eq(actor_id),
                audit_log::actor_name.eq(actor_name),
                audit_log::display.eq(event.display),
                audit_log::address.eq(origin.address.map(|address| address.to_string())),
                audit_log::user_agent.eq(origin.user_agent.as_deref()),
                audit_log::correlation_id.eq(origin.request_id.as_str()),
                audit_log::resources.eq(serde_json::to_value(event.resources).map_err(Error::unexpected)?),
            ))
        })
        .collect::<Result<_>>()?;
    diesel::insert_into(audit_log::table).values(rows).execute(connection)?;
    Ok(())
}
