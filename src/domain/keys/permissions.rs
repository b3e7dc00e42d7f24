//! `keys.addPermissions`, `keys.setPermissions`, `keys.removePermissions` (keys.md section 12).

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::Permit;
use crate::domain::keys;
use crate::domain::permissions;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::model::key::Key;
use crate::model::permission::Permission;
use crate::store;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::tx::Tx;

/// Gives a key these permissions beside what it holds; those that are missing are made. Answers all that it holds itself.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what", then `insufficient_permissions` for
/// permissions that would have to be made. Nothing is changed then.
pub fn add(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, slugs: &[String]) -> Result<Vec<Permission>> {
    let (FullKey { key, api, .. }, permit) = keys::lock(tx, caller, id)?;
    let wanted = permissions::ensure_if(tx, &permit, slugs, || may_create(caller, &api.id))?;
    let given = store::links::connect(tx, &permit, Holder::Key(&key.id), Held::Permissions, &wanted)?;
    held(tx, &permit, &key, !given.is_empty())
}

/// Gives a key exactly these permissions; those that are missing are made. Answers them.
///
/// # Errors
/// As [`add`].
pub fn set(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, slugs: &[String]) -> Result<Vec<Permission>> {
    let (FullKey { key, api, .. }, permit) = keys::lock(tx, caller, id)?;
    let wanted = permissions::ensure_if(tx, &permit, slugs, || may_create(caller, &api.id))?;
    let changed = store::links::set(tx, &permit, Holder::Key(&key.id), Held::Permissions, &wanted)?;
    held(tx, &permit, &key, changed)
}

/// Takes permissions away from a key; those that it does not hold are no error. Answers what is left.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; `permission_not_found` for slugs that
/// there are not in the workspace. Nothing is changed then.
pub fn remove(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, slugs: &[String]) -> Result<Vec<Permission>> {
    let (FullKey { key, .. }, permit) = keys::lock(tx, caller, id)?;
    let unwanted = permissions::all_named(tx, &permit, slugs)?;
    let taken = store::links::disconnect(tx, &permit, Holder::Key(&key.id), Held::Permissions, &unwanted)?;
    held(tx, &permit, &key, !taken.is_empty())
}

fn may_create(caller: &Caller, api: &ApiId) -> Result<()> {
    caller.permit_inside(api, &[Action::CreatePermission], Action::ReadKey, keys::not_found).map(drop)
}

fn held(tx: &mut Tx<'_>, permit: &Permit, key: &Key, changed: bool) -> Result<Vec<Permission>> {
    if changed {
        store::keys::stamp(tx, permit, key)?;
    }
    Ok(store::permissions::held_by(tx, permit.workspace(), Holder::Key(&key.id))?)
}
