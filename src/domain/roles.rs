//! Roles (contract/permissions.md).

use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
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
