//! Audit rows, written in the transaction of the mutation that they tell of.

use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::AuditId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Noted;
use chrono::SubsecRound;
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
    events: &[Noted],
) -> Result<()> {
    for events in events.chunks(MAX_ROWS) {
        let mut rows = Rows::default();
        for noted in events {
            let (origin, at) = noted.own.as_ref().map_or((origin, at), |(origin, at)| (origin, *at));
            rows.push(origin, at, noted)?;
        }
        rows.insert(connection)?;
    }
    Ok(())
}

/// Rows by columns, as one statement takes them.
#[derive(Default)]
struct Rows<'a> {
    ids: Vec<AuditId>,
    workspaces: Vec<&'a str>,
    times: Vec<Timestamp>,
    events: Vec<&'a str>,
    actor_types: Vec<&'a str>,
    actor_ids: Vec<&'a str>,
    actor_names: Vec<&'a str>,
    displays: Vec<&'a str>,
    addresses: Vec<Option<String>>,
    user_agents: Vec<Option<&'a str>>,
    correlations: Vec<&'a str>,
    resources: Vec<String>,
    changes: Vec<Option<String>>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, origin: &'a Origin, at: Timestamp, Noted { event, .. }: &'a Noted) -> Result<()> {
        let (actor_type, actor_id, actor_name) = match &origin.actor {
            Actor::RootKey { id, name } => ("rootkey", id.as_str(), name.as_ref()),
            Actor::CommandLine => ("operator", "cli", "command line"),
            Actor::System => ("system", "keyward", "keyward"),
        };
        let changes = (!event.changes.is_empty()).then(|| serde_json::to_string(&event.changes));
        self.ids.push(AuditId::generate());
        self.workspaces.push(event.workspace.as_str());
        // The hash of a row has its time in milliseconds: more than that is not kept.
        self.times.push(at.trunc_subsecs(3));
        self.events.push(event.event.name());
        self.actor_types.push(actor_type);
        self.actor_ids.push(actor_id);
        self.actor_names.push(actor_name);
        self.displays.push(&event.display);
        self.addresses.push(origin.address.map(|address| address.to_string()));
        self.user_agents.push(origin.user_agent.as_deref());
        self.correlations.push(origin.request_id.as_str());
        self.resources.push(serde_json::to_string(&event.resources).map_err(Error::unexpected)?);
        self.changes.push(changes.transpose().map_err(Error::unexpected)?);
        Ok(())
    }

    fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        diesel::sql_query(
            "INSERT INTO audit_log (id, workspace_id, at, event, actor_type, actor_id, actor_name, display, address, \
             user_agent, correlation_id, resources, changes) \
             SELECT id, workspace_id, at, event, actor_type, actor_id, actor_name, display, address, user_agent, \
             correlation_id, resources::jsonb, changes::json \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS row (id, workspace_id, at, event, \
             actor_type, actor_id, actor_name, display, address, user_agent, correlation_id, resources, changes)",
        )
        .bind::<Array<Text>, _>(&self.ids)
        .bind::<Array<Text>, _>(&self.workspaces)
        .bind::<Array<Timestamptz>, _>(&self.times)
        .bind::<Array<Text>, _>(&self.events)
        .bind::<Array<Text>, _>(&self.actor_types)
        .bind::<Array<Text>, _>(&self.actor_ids)
        .bind::<Array<Text>, _>(&self.actor_names)
        .bind::<Array<Text>, _>(&self.displays)
        .bind::<Array<Nullable<Text>>, _>(&self.addresses)
        .bind::<Array<Nullable<Text>>, _>(&self.user_agents)
        .bind::<Array<Text>, _>(&self.correlations)
        .bind::<Array<Text>, _>(&self.resources)
        .bind::<Array<Nullable<Text>>, _>(&self.changes)
        .execute(connection)?;
        Ok(())
    }
}
