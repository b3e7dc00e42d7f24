//! Keys (contract/keys.md): making, reading, changing, replacing and deleting them.

pub mod create;
pub mod credits;
pub mod delete;
pub mod migrate;
pub mod permissions;
pub mod read;
pub mod recover;
pub mod reroll;
pub mod roles;
pub mod update;

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::model::meta::Meta;
use crate::store;
use crate::store::tx::Tx;

/// The one answer for a key that is unknown, deleted, of a deleted API, of another workspace, or hidden from the caller.
#[must_use]
pub fn not_found() -> Error {
    Error::new(Code::KeyNotFound, "The requested key does not exist or has been deleted.")
}

/// A key that the caller may change, which nobody else changes until the end of the transaction.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what".
fn lock(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId) -> Result<(FullKey, Permit)> {
    caller.somewhere(&[])?;
    let key = store::keys::find_for_update(tx, &caller.workspace, id)?.ok_or_else(not_found)?;
    let permit = caller.permit_inside(&key.api.id, &[], Action::ReadKey, not_found)?;
    Ok((key, permit))
}

/// Refuses metadata that is too large.
///
/// # Errors
/// `invalid_input`.
pub(in crate::domain) fn check_meta(meta: Option<&Meta>) -> Result<()> {
    check_meta_at("body.meta", meta)
}

/// [`check_meta`] for metadata in another place of the request.
///
/// # Errors
/// `invalid_input`.
fn check_meta_at(location: &str, meta: Option<&Meta>) -> Result<()> {
    match meta.map(|meta| meta.as_json().len()) {
        Some(bytes) if bytes > Meta::MAX_BYTES => Err(Error::invalid(
            location,
            format!("is {bytes} bytes long, {} are the most", Meta::MAX_BYTES),
            Some("Keep large data elsewhere and store a reference to it."),
        )),
        Some(_) | None => Ok(()),
    }
}
