//! `rootKeys.deleteKey` (decisions.md #52, "Additions").

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::domain::root_keys;
use crate::domain::root_keys::guard::Current;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use crate::store;
use crate::store::tx::Tx;

/// Deletes a root key; it may be the caller itself.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` (rules 1 and 3), `precondition_failed` for the last root key that can
/// mint.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id: &RootKeyId) -> Result<()> {
    let current = Current::lock(tx, caller)?;
    let old = store::root_keys::find(tx, &caller.workspace, id)?.ok_or_else(root_keys::not_found)?;
    let permit = current.caller.permit_visible(On::RootKey(id), Action::ReadRootKey, root_keys::not_found)?;
    current.keep_a_minter(tx, &old, None)?;
    if store::root_keys::delete(tx, &permit, id)? { Ok(()) } else { Err(root_keys::not_found()) }
}
