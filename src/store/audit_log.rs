//! Audit rows: written in the transaction of the mutation that they tell of, read once they are sealed.

use crate::model::audit::FieldChange;
use crate::model::audit::row::AuditRow;
use crate::model::audit::row::ChainHash;
use crate::model::audit::row::RowActor;
use crate::model::audit::row::SealedRow;
use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::AuditId;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::origin::Resource;
use crate::model::schema::audit_log;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Noted;
use crate::store::tx::Tx;
use chrono::SubsecRound;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::NullableExpressionMethods;
use diesel::PgJsonbExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::Queryable;
use diesel::RunQueryDsl;
use diesel::pg::PgConnection;
use diesel::sql_types::Array;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

/// Rows of the audit log as [`Stored`]. A macro, since the type of such a query cannot be written down.
macro_rules! stored {
    () => {{
        use $crate::model::schema::audit_log;
        let json = |column| diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::Text>>(column);
        audit_log::table.select((
            audit_log::id,
            audit_log::workspace_id,
            audit_log::at,
            audit_log::event,
            (audit_log::actor_id, audit_log::actor_name, audit_log::actor_type),
            audit_log::display,
            audit_log::address,
            audit_log::user_agent,
            audit_log::correlation_id,
            json("resources::text"),
            json("changes::text"),
            audit_log::sequence,
            audit_log::hash,
        ))
    }};
}
pub(in crate::store) use stored;

/// A row as it is stored: whether it can be read is a question of its own, and whoever verifies a log asks it.
#[derive(Clone, Debug, Queryable)]
pub struct Stored {
    id: AuditId,
    workspace: WorkspaceId,
    at: Timestamp,
    event: String,
    actor: (String, String, String),
    display: String,
    address: Option<String>,
    user_agent: Option<String>,
    correlation_id: String,
    resources: Option<String>,
    changes: Option<String>,
    sequence: Option<i64>,
    hash: Option<Vec<u8>>,
}

impl Stored {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &AuditId {
        &self.id
    }

    /// Its place in the chain; 0 before it has one.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.sequence.unwrap_or(0)
    }

    pub(in crate::store) fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// What it says; `None` if that is not what this version writes.
    #[must_use]
    pub fn row(self) -> Option<AuditRow> {
        let (id, name, r#type) = self.actor;
        let changes =
            self.changes.map_or_else(|| Ok(Vec::new()), |text| serde_json::from_str::<Vec<FieldChange>>(&text));
        // What is not in the hash is not there.
        (self.at == self.at.trunc_subsecs(3)).then_some(())?;
        Some(AuditRow {
            id: self.id,
            workspace: self.workspace,
            at: self.at,
            event: self.event,
            actor: RowActor { id, name, r#type },
            description: self.display,
            address: self.address,
            user_agent: self.user_agent,
            request_id: RequestId::from_text(self.correlation_id),
            resources: serde_json::from_str::<Vec<Resource>>(&self.resources?).ok()?,
            changes: changes.ok()?,
        })
    }

    /// The same in its place of the chain; `None` also if it has none.
    #[must_use]
    pub fn sealed(self) -> Option<SealedRow> {
        let (sequence, hash) = (self.sequence?, ChainHash::from_bytes(self.hash.as_deref()?)?);
        Some(SealedRow { row: self.row()?, sequence, hash })
    }
}

/// Which rows are asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Name of the event.
    pub event: Option<String>,
    /// Who acted, by id.
    pub actor_id: Option<String>,
    /// What it happened to, by id.
    pub resource_id: Option<String>,
    /// The request that it happened in.
    pub request_id: Option<String>,
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub to: Option<Timestamp>,
    /// Not before this place of the chain.
    pub sequence: Option<i64>,
}

/// Sealed rows of a workspace in the order of the chain, `limit` of them.
///
/// # Errors
/// Whatever the database says.
pub fn list(tx: &mut Tx<'_>, workspace: &WorkspaceId, filter: &Filter, limit: i64) -> QueryResult<Vec<Stored>> {
    let mut query = stored!()
        .filter(audit_log::workspace_id.eq(workspace).and(audit_log::sequence.ge(filter.sequence.unwrap_or(1))))
        .order(audit_log::sequence)
        .limit(limit)
        .into_boxed();
    if let Some(event) = &filter.event {
        query = query.filter(audit_log::event.eq(event));
    }
    if let Some(actor) = &filter.actor_id {
        query = query.filter(audit_log::actor_id.eq(actor));
    }
    if let Some(resource) = &filter.resource_id {
        query = query.filter(audit_log::resources.contains(serde_json::json!([{"id": resource}])));
    }
    if let Some(request) = &filter.request_id {
        query = query.filter(audit_log::correlation_id.eq(request));
    }
    if let Some(from) = filter.from {
        query = query.filter(audit_log::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_log::at.lt(to));
    }
    query.load(tx.connection)
}

/// The hashes in these places of a workspace's chain, as far as the rows are there.
///
/// # Errors
/// Whatever the database says.
pub fn hashes(tx: &mut Tx<'_>, workspace: &WorkspaceId, sequences: &[i64]) -> QueryResult<Vec<(i64, Vec<u8>)>> {
    audit_log::table
        .filter(audit_log::workspace_id.eq(workspace))
        .filter(audit_log::sequence.eq_any(sequences))
        .select((audit_log::sequence.assume_not_null(), audit_log::hash.assume_not_null()))
        .load(tx.connection)
}

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
