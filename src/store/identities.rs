//! Identities.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::id::IdentityId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::schema::identities;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::upsert::DecoratableTarget;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Most rows of one [`insert_missing`], which is to be done long before a statement has taken too long.
pub const MAX_ROWS: usize = 1000;

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
    AuditEvent {
        workspace: permit.workspace().clone(),
        event,
        display: format!("{verb} identity {external_id}"),
        resources: vec![Resource::new("identity", id, Some(external_id))],
    }
}
