//! `keys.deleteKey` (keys.md section 11).

use crate::authz::caller::Caller;
use crate::domain::keys;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::store;
use crate::store::tx::Tx;

/// Deletes a key; `permanent` erases its row, so that its hash may be stored again.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; a deleted key is not found.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, permanent: bool) -> Result<()> {
    let (FullKey { key, .. }, permit) = keys::lock(tx, caller, id)?;
    Ok(store::keys::delete(tx, &permit, &key, permanent)?)
}
