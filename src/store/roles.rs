//! Roles.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::id::RoleId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::permission::Role;
use crate::model::schema::roles;
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

/// The roles with these names, as far as there are any.
///
/// # Errors
/// Whatever the database says.
pub fn by_names(tx: &mut Tx<'_>, workspace: &WorkspaceId, names: &BTreeSet<String>) -> QueryResult<Named> {
    let rows: Vec<(String, String)> = roles::table
        .filter(roles::workspace_id.eq(workspace))
        .filter(roles::name.eq_any(names))
        .select((roles::name, roles::id))
        .load(tx.connection)?;
    Ok(rows.into_iter().collect())
}

/// Stores roles whose names are free; whoever stores the same one at the same time wins or waits, none fails.
///
/// # Errors
/// Whatever the database says.
pub fn insert_missing(tx: &mut Tx<'_>, permit: &Permit, new: &[Role]) -> QueryResult<()> {
    let stored: Vec<Role> = diesel::insert_into(roles::table)
        .values(new)
        .on_conflict((roles::workspace_id, roles::name))
        .do_nothing()
        .returning(Role::as_returning())
        .get_results(tx.connection)?;
    for role in &stored {
        record(tx, permit, Event::RoleCreate, "created", &role.id, &role.name);
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, verb: &str, id: &RoleId, name: &str) {
    let workspace = permit.workspace().clone();
    tx.record(
        Change::Workspace(workspace.clone()),
        AuditEvent {
            workspace,
            event,
            display: format!("{verb} role {name}"),
            resources: vec![Resource::new("role", id, Some(name))],
        },
    );
}
