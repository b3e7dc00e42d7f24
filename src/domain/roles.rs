//! Roles (contract/permissions.md).

use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::RoleId;
use crate::model::permission::Role;
use crate::store;
use crate::store::links::Named;
use crate::store::tx::Tx;
use std::collections::BTreeSet;

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
    for rows in new.chunks(store::roles::MAX_ROWS) {
        store::roles::insert_missing(tx, permit, rows)?;
    }
    if !missing.is_empty() {
        // Also those that another transaction stored between the two statements.
        known.extend(store::roles::by_names(tx, permit.workspace(), &missing)?);
    }
    Ok(known)
}
