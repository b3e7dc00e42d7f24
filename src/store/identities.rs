//! Identities.

use crate::authz::caller::Permit;
use crate::model::audit::Changed;
use crate::model::change::Change;
use crate::model::id::IdentityId;
use crate::model::id::WorkspaceId;
use crate::model::identity::FullIdentity;
use crate::model::identity::Holdings;
use crate::model::identity::Identity;
use crate::model::identity::IdentityChanges;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::rate_limit::OwnLimits;
use crate::model::schema::identities;
use crate::store::access;
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
use diesel::upsert::DecoratableTarget;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

type Row = (Identity, Holdings, OwnLimits);

fn full_identity((identity, holdings, limits): Row) -> FullIdentity {
    FullIdentity { identity, holdings, limits }
}

/// The live identity with this external id.
///
/// # Errors
/// Whatever the database says.
pub fn by_external_id(tx: &mut Tx<'_>, workspace: &WorkspaceId, external_id: &str) -> QueryResult<Option<Identity>> {
    identities::table
        .filter(identities::workspace_id.eq(workspace))
        .filter(identities::external_id.eq(external_id))
        .filter(identities::deleted_at.is_null())
        .select(Identity::as_select())
        .first(tx.connection)
        .optional()
}

/// The live identity with this id, or else the one with this external id.
///
/// # Errors
/// Whatever the database says.
pub fn named(tx: &mut Tx<'_>, workspace: &WorkspaceId, text: &str) -> QueryResult<Option<FullIdentity>> {
    let row: Option<Row> = identities::table
        .filter(identities::workspace_id.eq(workspace))
        .filter(identities::id.eq(text).or(identities::external_id.eq(text)))
        .filter(identities::deleted_at.is_null())
        .order(identities::id.eq(text).desc())
        .select((Identity::as_select(), access::of_identity(), access::limits_of_identity()))
        .first(tx.connection)
        .optional()?;
    Ok(row.map(full_identity))
}

/// Locks a live identity until the transaction ends; says whether there still is one. Keys may be given to it meanwhile.
///
/// # Errors
/// Whatever the database says.
pub fn lock(tx: &mut Tx<'_>, permit: &Permit, id: &IdentityId) -> QueryResult<bool> {
    let locked: Option<IdentityId> = identities::table
        .filter(identities::id.eq(id))
        .filter(identities::workspace_id.eq(permit.workspace()))
        .filter(identities::deleted_at.is_null())
        .select(identities::id)
        .for_no_key_update()
        .first(tx.connection)
        .optional()?;
    Ok(locked.is_some())
}

/// A page of the live identities of a workspace whose id or external id holds `search`, in any letter case.
///
/// # Errors
/// Whatever the database says.
pub fn list(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    search: Option<&str>,
    page: &PageRequest,
) -> QueryResult<Vec<FullIdentity>> {
    let mut query = identities::table
        .filter(identities::workspace_id.eq(workspace))
        .filter(identities::deleted_at.is_null())
        .order(identities::id)
        .limit(page.fetch())
        .select((Identity::as_select(), access::of_identity(), access::limits_of_identity()))
        .into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(identities::id.ge(cursor));
    }
    if let Some(search) = search {
        let pattern = format!("%{}%", literal(search));
        query = query.filter(identities::id.ilike(pattern.clone()).or(identities::external_id.ilike(pattern)));
    }
    Ok(query.load::<Row>(tx.connection)?.into_iter().map(full_identity).collect())
}

/// Stores an identity unless its external id is taken; says whether it did. Racing calls end with one identity.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, new: &Identity) -> QueryResult<bool> {
    let inserted = diesel::insert_into(identities::table)
        .values(new)
        .on_conflict((identities::workspace_id, identities::external_id))
        .filter_target(identities::deleted_at.is_null())
        .do_nothing()
        .execute(tx.connection)?;
    if inserted == 0 {
        return Ok(false);
    }
    record(tx, permit, Event::IdentityCreate, "created", &new.id, &new.external_id);
    Ok(true)
}

/// Changes a live identity, which moves its `updated_at` even if nothing else changes; `None` if there is none.
///
/// # Errors
/// Whatever the database says.
pub fn update(
    tx: &mut Tx<'_>,
    permit: &Permit,
    id: &IdentityId,
    changes: &IdentityChanges,
) -> QueryResult<Option<FullIdentity>> {
    let now = tx.now();
    let enabled: Option<bool> = identities::table
        .filter(identities::id.eq(id))
        .filter(identities::workspace_id.eq(permit.workspace()))
        .select(identities::enabled)
        .for_no_key_update()
        .first(tx.connection)
        .optional()?;
    let Some(enabled) = enabled else { return Ok(None) };
    let row: Option<Row> = diesel::update(
        identities::table
            .filter(identities::id.eq(id))
            .filter(identities::workspace_id.eq(permit.workspace()))
            .filter(identities::deleted_at.is_null()),
    )
    .set((changes, identities::updated_at.eq(now)))
    .returning((Identity::as_returning(), access::of_identity(), access::limits_of_identity()))
    .get_result(tx.connection)
    .optional()?;
    let Some(full) = row.map(full_identity) else { return Ok(None) };
    let event = event(permit, Event::IdentityUpdate, "updated", id, &full.identity.external_id)
        .changing(Changed::of(id).field("enabled", &enabled, changes.enabled.as_ref()));
    tx.record(Change::Identity(id.clone()), event);
    Ok(Some(full))
}

/// Deletes a live identity; says whether it did. Its keys keep their rows: whoever asks for an owner asks for a live one.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, id: &IdentityId) -> QueryResult<bool> {
    let now = tx.now();
    let external_id: Option<String> = diesel::update(
        identities::table
            .filter(identities::id.eq(id))
            .filter(identities::workspace_id.eq(permit.workspace()))
            .filter(identities::deleted_at.is_null()),
    )
    .set(identities::deleted_at.eq(now))
    .returning(identities::external_id)
    .get_result(tx.connection)
    .optional()?;
    let Some(external_id) = external_id else { return Ok(false) };
    record(tx, permit, Event::IdentityDelete, "deleted", id, &external_id);
    Ok(true)
}

/// Ids of the live identities with these external ids, as far as there are any.
///
/// # Errors
/// Whatever the database says.
pub fn by_external_ids(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    external_ids: &BTreeSet<String>,
) -> QueryResult<BTreeMap<String, IdentityId>> {
    let rows: Vec<(String, IdentityId)> = identities::table
        .filter(identities::workspace_id.eq(workspace))
        .filter(identities::external_id.eq_any(external_ids))
        .filter(identities::deleted_at.is_null())
        .select((identities::external_id, identities::id))
        .load(tx.connection)?;
    Ok(rows.into_iter().collect())
}

/// [`insert`] for many at once.
///
/// # Errors
/// Whatever the database says.
pub fn insert_missing(tx: &mut Tx<'_>, permit: &Permit, new: &[Identity]) -> QueryResult<()> {
    let stored: Vec<(IdentityId, String)> = diesel::insert_into(identities::table)
        .values(new)
        .on_conflict((identities::workspace_id, identities::external_id))
        .filter_target(identities::deleted_at.is_null())
        .do_nothing()
        .returning((identities::id, identities::external_id))
        .get_results(tx.connection)?;
    // One notification for all of them.
    let change = Change::Workspace(permit.workspace().clone());
    for (id, external_id) in &stored {
        tx.record(change.clone(), event(permit, Event::IdentityCreate, "created", id, external_id));
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, verb: &str, id: &IdentityId, external_id: &str) {
    tx.record(Change::Identity(id.clone()), self::event(permit, event, verb, id, external_id));
}

fn event(permit: &Permit, event: Event, verb: &str, id: &IdentityId, external_id: &str) -> AuditEvent {
    AuditEvent::new(
        permit.workspace(),
        event,
        format!("{verb} identity {external_id}"),
        vec![Resource::new("identity", id, Some(external_id))],
    )
}
