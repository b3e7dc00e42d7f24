//! Permissions.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::id::PermissionId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::permission::Permission;
use crate::model::schema::permissions;
use crate::store::links::Named;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use std::collections::BTreeSet;

/// Most rows of one [`insert_missing`], which is to be done long before a statement has taken too long.
pub const MAX_ROWS: usize = 1000;

/// The permissions with these slugs, as far as there are any.
///
/// # Errors
/// Whatever the database says.
pub fn by_slugs(tx: &mut Tx<'_>, workspace: &WorkspaceId, slugs: &BTreeSet<String>) -> QueryResult<Named> {
    let rows: Vec<(String, String)> = permissions::table
        .filter(permissions::workspace_id.eq(workspace))
        .filter(permissions::slug.eq_any(slugs))
        .select((permissions::slug, permissions::id))
        .load(tx.connection)?;
    Ok(rows.into_iter().collect())
}

/// Stores permissions whose slugs are free; whoever stores the same one at the same time wins or waits, none fails.
/// Returns those that were stored.
///
/// # Errors
/// Whatever the database says.
pub fn insert_missing(tx: &mut Tx<'_>, permit: &Permit, new: &[Permission]) -> QueryResult<Vec<Permission>> {
    let stored: Vec<Permission> = diesel::insert_into(permissions::table)
        .values(new)
        .on_conflict((permissions::workspace_id, permissions::slug))
        .do_nothing()
        .returning(Permission::as_returning())
        .get_results(tx.connection)?;
    for permission in &stored {
        record(tx, permit, Event::PermissionCreate, "created", &permission.id, &permission.slug);
    }
    Ok(stored)
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, verb: &str, id: &PermissionId, slug: &str) {
    let workspace = permit.workspace().clone();
    tx.record(
        Change::Workspace(workspace.clone()),
        AuditEvent {
            workspace,
            event,
            display: format!("{verb} permission {slug}"),
            resources: vec![Resource::new("permission", id, Some(slug))],
        },
    );
}
