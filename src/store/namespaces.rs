//! Namespaces of rate limits.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::id::NamespaceId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::rate_limit::Namespace;
use crate::model::schema::namespaces;
use crate::store::apis::literal;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgTextExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;

/// The namespace with this id, or else the one with this name; also one that was deleted.
///
/// # Errors
/// Whatever the database says.
pub fn named(tx: &mut Tx<'_>, workspace: &WorkspaceId, text: &str) -> QueryResult<Option<Namespace>> {
    namespaces::table
        .filter(namespaces::workspace_id.eq(workspace))
        .filter(namespaces::id.eq(text).or(namespaces::name.eq(text)))
        .order(namespaces::id.eq(text).desc())
        .select(Namespace::as_select())
        .first(tx.connection)
        .optional()
}

/// A page of the live namespaces of a workspace whose id or name holds `search`, in any letter case.
///
/// # Errors
/// Whatever the database says.
pub fn list(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    search: Option<&str>,
    page: &PageRequest,
) -> QueryResult<Vec<Namespace>> {
    let mut query = namespaces::table
        .filter(namespaces::workspace_id.eq(workspace))
        .filter(namespaces::deleted_at.is_null())
        .order(namespaces::id)
        .limit(page.fetch())
        .select(Namespace::as_select())
        .into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(namespaces::id.ge(cursor));
    }
    if let Some(search) = search {
        let pattern = format!("%{}%", literal(search));
        query = query.filter(namespaces::id.ilike(pattern.clone()).or(namespaces::name.ilike(pattern)));
    }
    query.load(tx.connection)
}

/// Stores those whose names are not taken. Racing calls end with one namespace a name.
///
/// # Errors
/// Whatever the database says.
pub fn insert_missing(tx: &mut Tx<'_>, permit: &Permit, new: &[Namespace]) -> QueryResult<()> {
    debug_assert!(new.iter().all(|namespace| permit.workspace() == &namespace.workspace_id));
    let stored: Vec<(NamespaceId, String)> = diesel::insert_into(namespaces::table)
        .values(new)
        .on_conflict((namespaces::workspace_id, namespaces::name))
        .do_nothing()
        .returning((namespaces::id, namespaces::name))
        .get_results(tx.connection)?;
    for (id, name) in &stored {
        record(tx, permit, Event::NamespaceCreate, "created", id, name);
    }
    Ok(())
}

/// Deletes a live namespace; says whether it did. Its row stays, and with it its name stays taken.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, id: &NamespaceId) -> QueryResult<bool> {
    let now = tx.now();
    let name: Option<String> = diesel::update(
        namespaces::table
            .filter(namespaces::id.eq(id))
            .filter(namespaces::workspace_id.eq(permit.workspace()))
            .filter(namespaces::deleted_at.is_null()),
    )
    .set(namespaces::deleted_at.eq(now))
    .returning(namespaces::name)
    .get_result(tx.connection)
    .optional()?;
    let Some(name) = name else { return Ok(false) };
    record(tx, permit, Event::NamespaceDelete, "deleted", id, &name);
    Ok(true)
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, verb: &str, id: &NamespaceId, name: &str) {
    tx.record(
        Change::Namespace(id.clone()),
        AuditEvent::new(
            permit.workspace(),
            event,
            format!("{verb} namespace {id}"),
            vec![Resource::new("ratelimitNamespace", id, Some(name))],
        ),
    );
}
