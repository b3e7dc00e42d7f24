//! `rootKeys.updateKey` (decisions.md #52, "Additions").

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::ceiling::Gift;
use crate::domain::root_keys;
use crate::domain::root_keys::guard::Current;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use crate::model::root_key::RootKey;
use crate::model::root_key::RootKeyChanges;
use crate::store;
use crate::store::tx::Tx;

/// Changes a root key; nothing given still moves its `updatedAt`. The ceiling holds for what is given: permissions that
/// it did not have, and with `enabled: true` everything that it gets back. Taking away asks for no more than the action.
///
/// # Errors
/// In this order: `insufficient_permissions` (rule 1), `invalid_input` for permissions that mean nothing,
/// `key_not_found` or `insufficient_permissions` (rule 3), `insufficient_permissions` for what exceeds the caller,
/// `forbidden` for a life beyond the caller's, `precondition_failed` for the last root key that can mint.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id: &RootKeyId, wanted: &RootKeyChanges) -> Result<()> {
    caller.somewhere(&[])?;
    let permissions = wanted.permissions.as_deref().map(root_keys::check_permissions).transpose()?;
    let current = Current::lock(tx, caller)?;
    let old = store::root_keys::find(tx, &caller.workspace, id)?.ok_or_else(root_keys::not_found)?;
    let permit = current.caller.permit_visible(On::RootKey(id), Action::ReadRootKey, root_keys::not_found)?;
    let new = RootKey {
        enabled: wanted.enabled.unwrap_or(old.enabled),
        permissions: permissions.clone().unwrap_or_else(|| old.permissions.clone()),
        ..old.clone()
    };
    let given = given(&old, &new);
    if !given.is_empty() || (new.enabled && !old.enabled) {
        let known = permissions.is_some() || current.caller.grants.on(Action::ReadRootKey, id.as_str());
        current.ceiling().check(&Gift { permissions: &given, ends: old.expires_at, known })?;
    }
    current.keep_a_minter(tx, &old, Some(&new))?;
    let changes = RootKeyChanges { permissions, ..wanted.clone() };
    if store::root_keys::update(tx, &permit, &old, &changes)? { Ok(()) } else { Err(root_keys::not_found()) }
}

/// What a root key gets by becoming another one; a disabled one had nothing.
fn given(old: &RootKey, new: &RootKey) -> Vec<String> {
    let had = |tuple: &String| old.permissions.contains(tuple) && (old.enabled || !new.enabled);
    new.permissions.iter().filter(|tuple| !had(tuple)).cloned().collect()
}
