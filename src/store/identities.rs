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

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, verb: &str, id: &IdentityId, external_id: &str) {
    tx.record(
        Change::Identity(id.clone()),
        AuditEvent {
            workspace: permit.workspace().clone(),
            event,
            display: format!("{verb} identity {external_id}"),
            resources: vec![Resource::new("identity", id, Some(external_id))],
        },
    );
}
