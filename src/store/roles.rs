//! Roles.

use crate::authz::caller::Permit;
use crate::model::audit::Changed;
use crate::model::change::Change;
use crate::model::id::RoleId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::permission::FullRole;
use crate::model::permission::Permission;
use crate::model::permission::Role;
use crate::model::permission::RoleChanges;
use crate::model::schema::permissions;
use crate::model::schema::role_permissions;
use crate::model::schema::roles;
use crate::store::apis::literal;
use crate::store::conflict;
use crate::store::links;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::links::Named;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Bool;
use diesel::sql_types::Text;
use std::collections::BTreeSet;
use std::collections::HashMap;

/// The role with this id, or else with this name. A macro, since the type of such a query cannot be written down.
macro_rules! named {
    ($workspace:expr, $id_or_name:expr) => {
        roles::table
            .filter(roles::workspace_id.eq($workspace))
            .filter(roles::id.eq($id_or_name).or(roles::name.eq($id_or_name)))
            .order(roles::id.eq($id_or_name).desc())
            .select(Role::as_select())
    };
}

/// The role with this id, or else with this name.
///
/// # Errors
/// Whatever the database says.
pub fn find(tx: &mut Tx<'_>, workspace: &WorkspaceId, id_or_name: &str) -> QueryResult<Option<FullRole>> {
    let role: Option<Role> = named!(workspace, id_or_name).first(tx.connection).optional()?;
    Ok(with_permissions(tx, role.into_iter().collect())?.pop())
}

/// The same for a transaction that goes on to change or delete the role: nobody gives it to anybody meanwhile.
///
/// # Errors
/// Whatever the database says.
pub fn find_for_update(tx: &mut Tx<'_>, workspace: &WorkspaceId, id_or_name: &str) -> QueryResult<Option<Role>> {
    named!(workspace, id_or_name).for_update().first(tx.connection).optional()
}

/// The same for a transaction that changes what the role has: others that do so wait, giving the role goes on.
///
/// # Errors
/// Whatever the database says.
pub fn find_to_fill(tx: &mut Tx<'_>, workspace: &WorkspaceId, id_or_name: &str) -> QueryResult<Option<Role>> {
    named!(workspace, id_or_name).for_no_key_update().first(tx.connection).optional()
}

/// A page of the roles of a workspace whose id, name or description holds `search`, in any letter case.
///
/// # Errors
/// Whatever the database says.
pub fn list(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    search: Option<&str>,
    page: &PageRequest,
) -> QueryResult<Vec<FullRole>> {
    let mut query = roles::table
        .filter(roles::workspace_id.eq(workspace))
        .order(roles::id)
        .limit(page.fetch())
        .select(Role::as_select())
        .into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(roles::id.ge(cursor));
    }
    if let Some(search) = search {
        let pattern = format!("%{}%", literal(search));
        // Names are compared as bytes, which would tell letter cases apart beyond ASCII.
        query = query.filter(
            diesel::dsl::sql::<Bool>("(roles.id ILIKE ")
                .bind::<Text, _>(pattern.clone())
                .sql(" OR roles.name COLLATE \"default\" ILIKE ")
                .bind::<Text, _>(pattern.clone())
                .sql(" OR roles.description ILIKE ")
                .bind::<Text, _>(pattern)
                .sql(")"),
        );
    }
    let rows = query.load(tx.connection)?;
    with_permissions(tx, rows)
}

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

/// The roles that somebody has directly, by name.
///
/// # Errors
/// Whatever the database says.
pub fn held_by(tx: &mut Tx<'_>, workspace: &WorkspaceId, holder: Holder<'_>) -> QueryResult<Vec<FullRole>> {
    let held = links::list(tx, workspace, holder, Held::Roles)?;
    let rows = roles::table
        .filter(roles::workspace_id.eq(workspace))
        .filter(roles::id.eq_any(held.values()))
        .order(roles::name)
        .select(Role::as_select())
        .load(tx.connection)?;
    with_permissions(tx, rows)
}

/// Stores a role; says whether its name was free.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, new: &Role) -> QueryResult<bool> {
    debug_assert_eq!(permit.workspace(), &new.workspace_id);
    let stored = diesel::insert_into(roles::table)
        .values(new)
        .on_conflict((roles::workspace_id, roles::name))
        .do_nothing()
        .execute(tx.connection)?;
    if stored == 0 {
        return Ok(false);
    }
    record(
        tx,
        permit,
        Event::RoleCreate,
        format!("created role {}", new.name),
        (&new.id, &new.name),
        Changed::of(&new.id),
    );
    Ok(true)
}

/// Changes a role that was found for it; `None` if its new name is taken.
///
/// # Errors
/// Whatever the database says.
pub fn update(tx: &mut Tx<'_>, permit: &Permit, role: &Role, changes: &RoleChanges) -> QueryResult<Option<Role>> {
    let now = tx.now();
    let updated =
        diesel::update(roles::table.filter(roles::id.eq(&role.id)).filter(roles::workspace_id.eq(permit.workspace())))
            .set((changes, roles::updated_at.eq(now)))
            .returning(Role::as_returning())
            .get_result(tx.connection);
    let Some(updated): Option<Role> = conflict::unless_taken(updated, "roles_workspace_id_name_key")? else {
        return Ok(None);
    };
    let display = if updated.name == role.name {
        format!("updated role {}", updated.name)
    } else {
        format!("updated role {}, which is {} now", role.name, updated.name)
    };
    let changed = Changed::of(&updated.id).field("name", &role.name, Some(&updated.name));
    record(tx, permit, Event::RoleUpdate, display, (&updated.id, &updated.name), changed);
    Ok(Some(updated))
}

/// Notes that what a role has was changed; the audit rows are those of the links.
///
/// # Errors
/// Whatever the database says.
pub fn stamp(tx: &mut Tx<'_>, permit: &Permit, role: &Role) -> QueryResult<()> {
    let now = tx.now();
    diesel::update(roles::table.filter(roles::id.eq(&role.id)).filter(roles::workspace_id.eq(permit.workspace())))
        .set(roles::updated_at.eq(now))
        .execute(tx.connection)?;
    Ok(())
}

/// Deletes a role that was found for it, and takes it away from everybody who has it. Its permissions stay.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, role: &Role) -> QueryResult<()> {
    let holders = links::holders(tx, Held::Roles, role.id.as_str())?;
    let had = links::list(tx, permit.workspace(), Holder::Role(role), Held::Permissions)?;
    diesel::delete(roles::table.filter(roles::id.eq(&role.id)).filter(roles::workspace_id.eq(permit.workspace())))
        .execute(tx.connection)?;
    let display = format!("deleted role {} (taken from {holders})", role.name);
    // Its permissions are named, too: nothing else tells any more what went with it.
    let gone = Resource::new("role", &role.id, Some(&role.name));
    let had = had.iter().map(|(slug, id)| Resource::new("permission", id, Some(slug)));
    let resources = std::iter::once(gone).chain(had).collect();
    tx.record(
        Change::Workspace(permit.workspace().clone()),
        AuditEvent::new(permit.workspace(), Event::RoleDelete, display, resources),
    );
    Ok(())
}

fn with_permissions(tx: &mut Tx<'_>, rows: Vec<Role>) -> QueryResult<Vec<FullRole>> {
    let ids: Vec<_> = rows.iter().map(|role| &role.id).collect();
    let links: Vec<(RoleId, Permission)> = role_permissions::table
        .inner_join(permissions::table)
        .filter(role_permissions::role_id.eq_any(ids))
        .order(permissions::slug)
        .select((role_permissions::role_id, Permission::as_select()))
        .load(tx.connection)?;
    let mut of_role: HashMap<RoleId, Vec<Permission>> = HashMap::new();
    for (role, permission) in links {
        of_role.entry(role).or_default().push(permission);
    }
    let full = |role: Role| FullRole { permissions: of_role.remove(&role.id).unwrap_or_default(), role };
    Ok(rows.into_iter().map(full).collect())
}

fn record(
    tx: &mut Tx<'_>,
    permit: &Permit,
    event: Event,
    display: String,
    (id, name): (&RoleId, &str),
    changed: Changed,
) {
    tx.record(
        // Any key of the workspace may have it.
        Change::Workspace(permit.workspace().clone()),
        AuditEvent::new(permit.workspace(), event, display, vec![Resource::new("role", id, Some(name))])
            .changing(changed),
    );
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
        record(
            tx,
            permit,
            Event::RoleCreate,
            format!("created role {}", role.name),
            (&role.id, &role.name),
            Changed::of(&role.id),
        );
    }
    Ok(())
}
