//! `rootKeys.getKey`, `rootKeys.listKeys`, `rootKeys.whoami` (decisions.md #51, "Additions").

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::domain::root_keys;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::model::root_key::RootKey;
use crate::store;
use crate::store::tx::Tx;

/// Reads a root key.
///
/// # Errors
/// `insufficient_permissions` without any `read_root_key`, else `key_not_found` for what is not covered.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, id: &RootKeyId) -> Result<RootKey> {
    caller.somewhere(&[])?;
    let root_key = store::root_keys::find(tx, &caller.workspace, id)?.ok_or_else(root_keys::not_found)?;
    caller.permit_visible(On::RootKey(id), Action::ReadRootKey, root_keys::not_found)?;
    Ok(root_key)
}

/// A page of the workspace's root keys.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(tx: &mut Tx<'_>, caller: &Caller, request: &PageRequest) -> Result<Page<RootKey>> {
    let permit = caller.permit(On::Any)?;
    let rows = store::root_keys::page(tx, permit.workspace(), request)?;
    Ok(Page::cut(rows, request, |row| row.id.as_str()))
}

/// The caller itself, which every root key may know.
///
/// # Errors
/// `authentication/key_not_found` if it was deleted since it was authenticated.
pub fn whoami(tx: &mut Tx<'_>, caller: &Caller) -> Result<RootKey> {
    store::root_keys::find(tx, &caller.workspace, &caller.root_key)?.ok_or_else(root_keys::unknown_bearer)
}
