//! `rootKeys.createKey` (decisions.md #50, "Additions").

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::ceiling::Gift;
use crate::domain::root_keys;
use crate::domain::root_keys::Mint;
use crate::domain::root_keys::Minted;
use crate::domain::root_keys::guard::Current;
use crate::model::error::Result;
use crate::store::tx::Tx;

/// Mints a root key that may do no more than the caller and lives no longer.
///
/// # Errors
/// In this order: `insufficient_permissions` for the operation, `invalid_input` for permissions that mean nothing,
/// `insufficient_permissions` for what exceeds the caller, `forbidden` for a life beyond the caller's,
/// `root_keys_limit_exceeded`.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, mint: &Mint) -> Result<Minted> {
    caller.permit(On::Any)?;
    let permissions = root_keys::check_permissions(&mint.permissions)?;
    let current = Current::lock(tx, caller)?;
    let permit = current.caller.permit(On::Any)?;
    current.ceiling().check(&Gift { permissions: &permissions, ends: mint.expires_at, known: true })?;
    current.check_limit(tx)?;
    root_keys::mint(tx, &permit, mint)
}
