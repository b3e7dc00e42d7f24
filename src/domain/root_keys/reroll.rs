//! `rootKeys.rerollKey` (decisions.md #27, #52, "Additions").

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::ceiling::Gift;
use crate::domain::root_keys;
use crate::domain::root_keys::Mint;
use crate::domain::root_keys::Minted;
use crate::domain::root_keys::guard::Current;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use crate::store;
use crate::store::tx::Tx;
use chrono::Duration;

/// Mints a root key in the likeness of an old one, which lives on for `grace` at most; without a grace it keeps its own
/// end. It is a minting, so it asks for `create_root_key` and stays under the ceiling.
///
/// # Errors
/// In this order: `insufficient_permissions` or `key_not_found` (rules 1 and 3), `insufficient_permissions` for what
/// exceeds the caller, `forbidden` for a life beyond the caller's, `precondition_failed` for an expired root key,
/// `root_keys_limit_exceeded`.
pub fn reroll(tx: &mut Tx<'_>, caller: &Caller, id: &RootKeyId, grace: Option<Duration>) -> Result<Minted> {
    let current = Current::lock(tx, caller)?;
    let old = store::root_keys::find(tx, &caller.workspace, id)?.ok_or_else(root_keys::not_found)?;
    let permit = current.caller.permit_visible(On::RootKey(id), Action::ReadRootKey, root_keys::not_found)?;
    let known = current.caller.grants.on(Action::ReadRootKey, id.as_str());
    current.ceiling().check(&Gift { permissions: &old.permissions, ends: old.expires_at, known })?;
    let now = tx.now();
    if old.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::new(
            Code::PreconditionFailed,
            "This root key has expired and cannot be rerolled. Create a new one with rootKeys.createKey.",
        ));
    }
    current.check_limit(tx)?;
    let mint = Mint { name: old.name.clone(), permissions: old.permissions.clone(), expires_at: old.expires_at };
    let (new, plaintext) = root_keys::mint_as(tx, &permit, &mint, old.enabled)?;
    let grace_ends = grace.and_then(|grace| now.checked_add_signed(grace));
    let ends = match (old.expires_at, grace_ends) {
        (Some(own), Some(grace)) => Some(own.min(grace)),
        (own, grace) => own.or(grace),
    };
    if store::root_keys::replace(tx, &permit, &old, &new, ends)? {
        Ok((new, plaintext))
    } else {
        Err(root_keys::not_found())
    }
}
