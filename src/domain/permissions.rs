//! Permissions (contract/permissions.md).

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::PermissionId;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::model::permission::Permission;
use crate::model::permission::PermissionChanges;
use crate::store;
use crate::store::links::Named;
use crate::store::tx::Tx;
use std::collections::BTreeSet;

/// Longest slug, and its alphabet beside letters and digits (permissions.md).
const MAX_SLUG: usize = 128;
const MARKS: &str = "_:-.*";

/// A permission to be made.
#[derive(Clone, Debug)]
pub struct CreatePermission {
    /// What verifications ask for.
    pub slug: String,
    /// A label.
    pub name: String,
    /// More words; empty means none.
    pub description: Option<String>,
}

/// The one answer for a permission that is unknown, deleted or of another workspace.
fn not_found() -> Error {
    Error::new(Code::PermissionNotFound, "The requested permission does not exist or has been deleted.")
}

fn taken(slug: &str) -> Error {
    Error::new(Code::PermissionAlreadyExists, format!("A permission with the slug '{slug}' exists already."))
}

/// Makes a permission.
///
/// # Errors
/// `insufficient_permissions`, `permission_already_exists`.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, new: &CreatePermission) -> Result<PermissionId> {
    let permit = caller.permit(On::Any)?;
    let permission = Permission {
        id: PermissionId::generate(),
        workspace_id: permit.workspace().clone(),
        slug: new.slug.clone(),
        name: new.name.clone(),
        description: described(new.description.clone()),
        created_at: tx.now(),
        updated_at: None,
    };
    if store::permissions::insert_missing(tx, &permit, std::slice::from_ref(&permission))?.is_empty() {
        return Err(taken(&new.slug));
    }
    Ok(permission.id)
}

/// Reads a permission by its id, or else by its slug.
///
/// # Errors
/// `insufficient_permissions`, then `permission_not_found`.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, id_or_slug: &str) -> Result<Permission> {
    let permit = caller.permit(On::Any)?;
    store::permissions::find(tx, permit.workspace(), id_or_slug)?.ok_or_else(not_found)
}

/// Lists permissions, oldest first, of which `search` finds something in any letter case; blank text filters nothing.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(tx: &mut Tx<'_>, caller: &Caller, search: Option<&str>, request: &PageRequest) -> Result<Page<Permission>> {
    let permit = caller.permit(On::Any)?;
    let search = search.map(str::trim).filter(|search| !search.is_empty());
    let rows = store::permissions::list(tx, permit.workspace(), search, request)?;
    Ok(Page::cut(rows, request, |permission| permission.id.as_str()))
}

/// Changes a permission; whoever holds it holds it under its new slug at once.
///
/// # Errors
/// `insufficient_permissions`, `permission_not_found`, `permission_already_exists`.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id_or_slug: &str, changes: &PermissionChanges) -> Result<Permission> {
    let permit = caller.permit(On::Any)?;
    let permission = store::permissions::find_for_update(tx, permit.workspace(), id_or_slug)?.ok_or_else(not_found)?;
    let changes = PermissionChanges { description: changes.description.clone().map(described), ..changes.clone() };
    store::permissions::update(tx, &permit, &permission, &changes)?
        .ok_or_else(|| taken(changes.slug.as_ref().unwrap_or(&permission.slug)))
}

/// Deletes a permission and takes it away, at once, from every key, role and identity.
///
/// # Errors
/// `insufficient_permissions`, then `permission_not_found`.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id_or_slug: &str) -> Result<()> {
    let permit = caller.permit(On::Any)?;
    let permission = store::permissions::find_for_update(tx, permit.workspace(), id_or_slug)?.ok_or_else(not_found)?;
    Ok(store::permissions::delete(tx, &permit, &permission)?)
}

/// The permissions with these slugs; those that there are not yet are made, with the slug as their name. Repeats are one.
///
/// # Errors
/// `invalid_input` for a slug that cannot be one.
pub fn ensure(tx: &mut Tx<'_>, permit: &Permit, slugs: &[String]) -> Result<Named> {
    ensure_if(tx, permit, slugs, || Ok(()))
}

/// [`ensure`], asking before any permission is made whether the caller may.
///
/// # Errors
/// Those of `may_create`, and as [`ensure`].
pub fn ensure_if(
    tx: &mut Tx<'_>,
    permit: &Permit,
    slugs: &[String],
    may_create: impl Fn() -> Result<()>,
) -> Result<Named> {
    let wanted: BTreeSet<String> = slugs.iter().cloned().collect();
    if wanted.is_empty() {
        return Ok(Named::new());
    }
    let known = store::permissions::by_slugs(tx, permit.workspace(), &wanted)?;
    let missing: Vec<_> = wanted.iter().filter(|slug| !known.contains_key(*slug)).collect();
    if missing.is_empty() {
        return Ok(known);
    }
    may_create()?;
    let new = missing.into_iter().map(|slug| named_by_slug(tx, permit, slug)).collect::<Result<Vec<_>>>()?;
    for rows in new.chunks(store::tx::MAX_ROWS) {
        store::permissions::insert_missing(tx, permit, rows)?;
    }
    // What another transaction made at the same moment is found now. To make more of what yet another one has deleted
    // would be out of order, and so a way to a deadlock.
    let all = store::permissions::by_slugs(tx, permit.workspace(), &wanted)?;
    if all.len() == wanted.len() { Ok(all) } else { Err(store::conflict::start_again()) }
}

/// The permissions with these slugs. Repeats are one.
///
/// # Errors
/// `permission_not_found` quoting every slug that is none.
pub fn all_named(tx: &mut Tx<'_>, permit: &Permit, slugs: &[String]) -> Result<Named> {
    let wanted: BTreeSet<String> = slugs.iter().cloned().collect();
    let known = store::permissions::by_slugs(tx, permit.workspace(), &wanted)?;
    let unknown: Vec<_> = wanted.iter().filter(|slug| !known.contains_key(*slug)).map(|s| format!("'{s}'")).collect();
    if unknown.is_empty() {
        return Ok(known);
    }
    let verb = if unknown.len() == 1 { "There is no permission" } else { "There are no permissions" };
    Err(Error::new(Code::PermissionNotFound, format!("{verb} {}.", unknown.join(", "))))
}

/// An empty description is none.
pub(super) fn described(description: Option<String>) -> Option<String> {
    description.filter(|text| !text.is_empty())
}

fn named_by_slug(tx: &Tx<'_>, permit: &Permit, slug: &str) -> Result<Permission> {
    let of_slug = |c: char| c.is_ascii_alphanumeric() || MARKS.contains(c);
    if !(1..=MAX_SLUG).contains(&slug.chars().count()) || !slug.chars().all(of_slug) {
        return Err(Error::new(
            Code::InvalidInput,
            format!("'{slug}' cannot be the slug of a permission: 1 to {MAX_SLUG} letters, digits and {MARKS}"),
        ));
    }
    Ok(Permission {
        id: PermissionId::generate(),
        workspace_id: permit.workspace().clone(),
        slug: slug.to_owned(),
        name: slug.to_owned(),
        description: None,
        created_at: tx.now(),
        updated_at: None,
    })
}
