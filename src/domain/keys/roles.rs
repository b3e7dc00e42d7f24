//! `keys.addRoles`, `keys.setRoles`, `keys.removeRoles` (keys.md section 12).

use crate::authz::caller::Caller;
use crate::authz::caller::Permit;
use crate::domain::keys;
use crate::domain::roles;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::model::key::Key;
use crate::model::permission::FullRole;
use crate::store;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::tx::Tx;

/// Gives a key these roles beside those that it has. Answers all of them.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; `role_not_found` for names that there
/// are not in the workspace. Nothing is changed then.
pub fn add(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, names: &[String]) -> Result<Vec<FullRole>> {
    let (FullKey { key, .. }, permit) = keys::lock(tx, caller, id)?;
    let wanted = roles::all_named(tx, &permit, names)?;
    let given = store::links::connect(tx, &permit, Holder::Key(&key.id), Held::Roles, &wanted)?;
    held(tx, &permit, &key, !given.is_empty())
}

/// Gives a key exactly these roles. Answers them.
///
/// # Errors
/// As [`add`].
pub fn set(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, names: &[String]) -> Result<Vec<FullRole>> {
    let (FullKey { key, .. }, permit) = keys::lock(tx, caller, id)?;
    let wanted = roles::all_named(tx, &permit, names)?;
    let changed = store::links::set(tx, &permit, Holder::Key(&key.id), Held::Roles, &wanted)?;
    held(tx, &permit, &key, changed)
}

/// Takes roles away from a key; those that it does not have are no error. Answers what is left.
///
/// # Errors
/// As [`add`].
pub fn remove(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, names: &[String]) -> Result<Vec<FullRole>> {
    let (FullKey { key, .. }, permit) = keys::lock(tx, caller, id)?;
    let unwanted = roles::all_named(tx, &permit, names)?;
    let taken = store::links::disconnect(tx, &permit, Holder::Key(&key.id), Held::Roles, &unwanted)?;
    held(tx, &permit, &key, !taken.is_empty())
}

fn held(tx: &mut Tx<'_>, permit: &Permit, key: &Key, changed: bool) -> Result<Vec<FullRole>> {
    if changed {
        store::keys::stamp(tx, permit, key)?;
    }
    Ok(store::roles::held_by(tx, permit.workspace(), Holder::Key(&key.id))?)
}
