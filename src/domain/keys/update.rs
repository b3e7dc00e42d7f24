//! `keys.updateKey` (keys.md section 11).

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::domain::keys;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::KeyChanges;
use crate::store;
use crate::store::tx::Tx;

/// Changes a key; nothing given still moves its `updatedAt`.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; `invalid_input` for metadata that
/// is too large.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, changes: &KeyChanges) -> Result<()> {
    caller.somewhere(&[])?;
    keys::check_meta(changes.meta.as_ref().and_then(Option::as_ref))?;
    let (key, api) = store::keys::find_for_update(tx, &caller.workspace, id)?.ok_or_else(keys::not_found)?;
    let permit = caller.permit_inside(&api.id, &[], Action::ReadKey, keys::not_found)?;
    Ok(store::keys::update(tx, &permit, &key, changes)?)
}
