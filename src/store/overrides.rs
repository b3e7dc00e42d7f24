//! Overrides of rate limits, and the one query of a limit call: its namespaces with what may override its limits.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::id::NamespaceId;
use crate::model::id::OverrideId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::rate_limit::Override;
use crate::model::rate_limit::OverrideRule;
use crate::model::rate_limit::OverrideRules;
use crate::model::schema::overrides;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::pg::Pg;
use diesel::pg::PgConnection;
use diesel::query_builder::AstPass;
use diesel::query_builder::Query;
use diesel::query_builder::QueryFragment;
use diesel::query_builder::QueryId;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Json;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

/// A namespace as a decision sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: NamespaceId,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The override of exactly the identifier, and patterns. All patterns that match it are among them.
    pub overrides: Vec<OverrideRule>,
}

/// For each namespace (id or name) and identifier the namespace, if there is one or was one, in the same order.
///
/// # Errors
/// Whatever the database says.
pub fn look_up(tx: &mut Tx<'_>, workspace: &WorkspaceId, wanted: &[(&str, &str)]) -> QueryResult<Vec<Option<Found>>> {
    let (namespaces, identifiers) = wanted.iter().copied().unzip();
    let count = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let rows: Vec<(i64, NamespaceId, Option<Timestamp>, OverrideRules)> =
        LookUp { workspace, namespaces, identifiers, count }.load(tx.connection)?;
    let mut found: Vec<_> = wanted.iter().map(|_| None).collect();
    for (position, id, deleted_at, OverrideRules(overrides)) in rows {
        let place = usize::try_from(position).ok().and_then(|position| found.get_mut(position.checked_sub(1)?));
        if let Some(place) = place {
            *place = Some(Found { id, deleted_at, overrides });
        }
    }
    Ok(found)
}

/// [`look_up`] as a query whose text is always the same, so that it is planned once a connection: diesel has no words for
/// it, and its `sql_query` is planned each time. `LIKE` takes `*` for any run of characters, also over several lines,
/// so it lets through some patterns that do not match and keeps none that does.
struct LookUp<'a> {
    workspace: &'a WorkspaceId,
    namespaces: Vec<&'a str>,
    identifiers: Vec<&'a str>,
    /// How many they are. Without a `LIMIT` Postgres takes a list of unknown length for ten times as dear as one of a known
    /// length of one, and plans anew each time.
    count: i64,
}

impl QueryId for LookUp<'_> {
    type QueryId = LookUp<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for LookUp<'_> {
    type SqlType = (BigInt, Text, Nullable<Timestamptz>, Json);
}

impl RunQueryDsl<PgConnection> for LookUp<'_> {}

impl QueryFragment<Pg> for LookUp<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            r#"SELECT w.position, n.id, n.deleted_at, (
                SELECT coalesce(json_agg(json_build_object(
                    'id', o.id, 'identifier', o.identifier, 'limit', o."limit", 'durationMs', o.duration_ms)), '[]')
                FROM (
                    SELECT * FROM overrides WHERE namespace_id = n.id AND identifier = w.identifier
                    UNION ALL
                    SELECT * FROM overrides WHERE namespace_id = n.id AND identifier LIKE '%*%'
                        AND w.identifier LIKE
                            replace(replace(replace(replace(identifier, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')
                ) o
            ) FROM (SELECT * FROM unnest("#,
        );
        out.push_bind_param::<Array<Text>, _>(&self.namespaces)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.identifiers)?;
        out.push_sql(") WITH ORDINALITY LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.count)?;
        out.push_sql(
            ") AS w (namespace, identifier, position) CROSS JOIN LATERAL (
                SELECT id, deleted_at FROM namespaces WHERE workspace_id = ",
        );
        out.push_bind_param::<Text, _>(self.workspace)?;
        out.push_sql(" AND (id = w.namespace OR name = w.namespace) ORDER BY id = w.namespace DESC LIMIT 1) n");
        Ok(())
    }
}

/// A page of the overrides of a namespace.
///
/// # Errors
/// Whatever the database says.
pub fn list(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    namespace: &NamespaceId,
    page: &PageRequest,
) -> QueryResult<Vec<OverrideRule>> {
    let mut query = overrides::table
        .filter(overrides::namespace_id.eq(namespace))
        .filter(overrides::workspace_id.eq(workspace))
        .order(overrides::id)
        .limit(page.fetch())
        .select(OverrideRule::as_select())
        .into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(overrides::id.ge(cursor));
    }
    query.load(tx.connection)
}

/// Stores an override, or gives the one of the same identifier this limit and duration; answers the id of the one that is
/// stored then. What is set already is not set again.
///
/// # Errors
/// Whatever the database says.
pub fn set(tx: &mut Tx<'_>, permit: &Permit, new: &Override) -> QueryResult<OverrideId> {
    debug_assert_eq!(permit.workspace(), &new.workspace_id);
    let of_identifier = overrides::table
        .filter(overrides::namespace_id.eq(&new.namespace_id))
        .filter(overrides::workspace_id.eq(permit.workspace()))
        .filter(overrides::identifier.eq(&new.identifier));
    let stored: Option<OverrideRule> =
        of_identifier.select(OverrideRule::as_select()).for_update().first(tx.connection).optional()?;
    if let Some(same) = stored.filter(|stored| (stored.limit, stored.duration_ms) == (new.limit, new.duration_ms)) {
        return Ok(same.id);
    }
    let now = tx.now();
    // A racing call may have stored one since; the later one wins and the id stays.
    let id: OverrideId = diesel::insert_into(overrides::table)
        .values(new)
        .on_conflict((overrides::namespace_id, overrides::identifier))
        .do_update()
        .set((
            overrides::limit.eq(new.limit),
            overrides::duration_ms.eq(new.duration_ms),
            overrides::updated_at.eq(now),
        ))
        .returning(overrides::id)
        .get_result(tx.connection)?;
    record(tx, permit, Event::SetOverride, "set", &new.namespace_id, &id, &new.identifier);
    Ok(id)
}

/// Deletes the override of exactly this identifier; says whether there was one.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, namespace: &NamespaceId, identifier: &str) -> QueryResult<bool> {
    let deleted: Option<OverrideId> = diesel::delete(
        overrides::table
            .filter(overrides::namespace_id.eq(namespace))
            .filter(overrides::workspace_id.eq(permit.workspace()))
            .filter(overrides::identifier.eq(identifier)),
    )
    .returning(overrides::id)
    .get_result(tx.connection)
    .optional()?;
    let Some(id) = deleted else { return Ok(false) };
    record(tx, permit, Event::DeleteOverride, "deleted", namespace, &id, identifier);
    Ok(true)
}

fn record(
    tx: &mut Tx<'_>,
    permit: &Permit,
    event: Event,
    verb: &str,
    namespace: &NamespaceId,
    id: &OverrideId,
    identifier: &str,
) {
    tx.record(
        Change::Namespace(namespace.clone()),
        AuditEvent::new(
            permit.workspace(),
            event,
            format!("{verb} override {id}"),
            vec![
                Resource::new("ratelimitOverride", id, Some(identifier)),
                Resource::new("ratelimitNamespace", namespace, None),
            ],
        ),
    );
}
