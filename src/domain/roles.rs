//! Roles (contract/permissions.md).

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::domain::permissions;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::RoleId;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::model::permission::FullRole;
use crate::model::permission::Permission;
use crate::model::permission::Role;
use crate::model::permission::RoleChanges;
use crate::store;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::links::Named;
use crate::store::tx::Tx;
use std::collections::BTreeSet;

/// A role to be made.
#[derive(Clone, Debug)]
pub struct CreateRole {
    /// Its name.
    pub name: String,
    /// More words; empty means none.
    pub description: Option<String>,
    /// Slugs of its permissions; those that are missing are made.
    pub permissions: Vec<String>,
}

/// What names a role in a request.
#[derive(Clone, Debug)]
pub enum Which {
    /// Its id and nothing else.
    Id(RoleId),
    /// Its id, or else its name.
    IdOrName(String),
}

/// The one answer for a role that is unknown, deleted or of another workspace.
pub(in crate::domain) fn not_found() -> Error {
    Error::new(Code::RoleNotFound, "The requested role does not exist or has been deleted.")
}

fn taken(name: &str) -> Error {
    Error::new(Code::RoleAlreadyExists, format!("A role with the name '{name}' exists already."))
}

/// Makes a role.
///
/// # Errors
/// `insufficient_permissions`, also for permissions that would have to be made; then `role_already_exists`. Nothing is
/// made then.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, new: &CreateRole) -> Result<RoleId> {
    let also: &[Action] = if new.permissions.is_empty() { &[] } else { &[Action::AddPermissionToRole] };
    let permit = caller.permit_also(On::Any, also)?;
    let permissions = permissions::ensure_if(tx, &permit, &new.permissions, || {
        caller.permit_also(On::Any, &[Action::AddPermissionToRole, Action::CreatePermission]).map(drop)
    })?;
    let role = Role {
        id: RoleId::generate(),
        workspace_id: permit.workspace().clone(),
        name: new.name.clone(),
        description: permissions::described(new.description.clone()),
        created_at: tx.now(),
        updated_at: None,
    };
    if !store::roles::insert(tx, &permit, &role)? {
        return Err(taken(&role.name));
    }
    store::links::set(tx, &permit, Holder::Role(&role), Held::Permissions, &permissions)?;
    Ok(role.id)
}

/// Reads a role by its id, or else by its name.
///
/// # Errors
/// `insufficient_permissions`, then `role_not_found`.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, id_or_name: &str) -> Result<FullRole> {
    let permit = caller.permit(On::Any)?;
    store::roles::find(tx, permit.workspace(), id_or_name)?.ok_or_else(not_found)
}

/// Lists roles, oldest first, of which `search` finds something in any letter case; blank text filters nothing.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(tx: &mut Tx<'_>, caller: &Caller, search: Option<&str>, request: &PageRequest) -> Result<Page<FullRole>> {
    let permit = caller.permit(On::Any)?;
    let search = search.map(str::trim).filter(|search| !search.is_empty());
    let rows = store::roles::list(tx, permit.workspace(), search, request)?;
    Ok(Page::cut(rows, request, |full| full.role.id.as_str()))
}

/// Changes a role.
///
/// # Errors
/// `insufficient_permissions`, `role_not_found`, `role_already_exists`.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id_or_name: &str, changes: &RoleChanges) -> Result<Role> {
    let permit = caller.permit(On::Any)?;
    let role = store::roles::find_for_update(tx, permit.workspace(), id_or_name)?.ok_or_else(not_found)?;
    let changes =
        RoleChanges { description: changes.description.clone().map(permissions::described), ..changes.clone() };
    store::roles::update(tx, &permit, &role, &changes)?
        .ok_or_else(|| taken(changes.name.as_ref().unwrap_or(&role.name)))
}

/// Deletes a role and takes it away, at once, from every key and identity; its permissions stay.
///
/// # Errors
/// `insufficient_permissions`, then `role_not_found`.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id_or_name: &str) -> Result<()> {
    let permit = caller.permit(On::Any)?;
    let role = store::roles::find_for_update(tx, permit.workspace(), id_or_name)?.ok_or_else(not_found)?;
    Ok(store::roles::delete(tx, &permit, &role)?)
}

/// Gives a role exactly these permissions; those that are missing are made. Answers them.
///
/// # Errors
/// `insufficient_permissions`, `role_not_found`, then `insufficient_permissions` for permissions that would have to be
/// made. Nothing is changed then.
pub fn set_permissions(tx: &mut Tx<'_>, caller: &Caller, which: &Which, slugs: &[String]) -> Result<Vec<Permission>> {
    let permit = caller.permit(On::Any)?;
    let role = match which {
        Which::Id(id) => {
            let found = store::roles::find_to_fill(tx, permit.workspace(), id.as_str())?;
            found.filter(|role| role.id == *id)
        }
        Which::IdOrName(text) => store::roles::find_to_fill(tx, permit.workspace(), text)?,
    };
    let role = role.ok_or_else(not_found)?;
    let permissions = permissions::ensure_if(tx, &permit, slugs, || {
        caller.permit_also(On::Any, &[Action::CreatePermission]).map(drop)
    })?;
    let holder = Holder::Role(&role);
    if store::links::set(tx, &permit, holder, Held::Permissions, &permissions)? {
        store::roles::stamp(tx, &permit, &role)?;
    }
    Ok(store::permissions::held_by(tx, permit.workspace(), holder)?)
}

/// The roles with these names. Repeats are one.
///
/// # Errors
/// `role_not_found` quoting every name that is no role.
pub fn all_named(tx: &mut Tx<'_>, permit: &Permit, names: &[String]) -> Result<Named> {
    let wanted: BTreeSet<String> = names.iter().cloned().collect();
    let known = store::roles::by_names(tx, permit.workspace(), &wanted)?;
    let unknown: Vec<_> = wanted.iter().filter(|name| !known.contains_key(*name)).map(|n| format!("'{n}'")).collect();
    if unknown.is_empty() {
        return Ok(known);
    }
    let verb = if unknown.len() == 1 { "There is no role" } else { "There are no roles" };
    Err(Error::new(Code::RoleNotFound, format!("{verb} {}.", unknown.join(", "))))
}

/// The roles with these names; those that there are not yet are made, without permissions. Repeats are one.
///
/// # Errors
/// Only the database's.
pub fn ensure(tx: &mut Tx<'_>, permit: &Permit, names: &[String]) -> Result<Named> {
    let wanted: BTreeSet<String> = names.iter().cloned().collect();
    let mut known = store::roles::by_names(tx, permit.workspace(), &wanted)?;
    let missing: BTreeSet<_> = wanted.into_iter().filter(|name| !known.contains_key(name)).collect();
    let new: Vec<_> = missing
        .iter()
        .map(|name| Role {
            id: RoleId::generate(),
            workspace_id: permit.workspace().clone(),
            name: name.clone(),
            description: None,
            created_at: tx.now(),
            updated_at: None,
        })
        .collect();
    for rows in new.chunks(store::tx::MAX_ROWS) {
        store::roles::insert_missing(tx, permit, rows)?;
    }
    if !missing.is_empty() {
        // Also those that another transaction stored between the two statements.
        known.extend(store::roles::by_names(tx, permit.workspace(), &missing)?);
    }
    Ok(known)
}
