//! Keys (contract/keys.md): making, reading, changing, replacing and deleting them.

pub mod create;
pub mod delete;
pub mod migrate;
pub mod read;
pub mod recover;
pub mod reroll;
pub mod update;

use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::meta::Meta;

/// The one answer for a key that is unknown, deleted, of a deleted API, of another workspace, or hidden from the caller.
#[must_use]
pub fn not_found() -> Error {
    Error::new(Code::KeyNotFound, "The requested key does not exist or has been deleted.")
}

/// Refuses metadata that is too large.
///
/// # Errors
/// `invalid_input`.
fn check_meta(meta: Option<&Meta>) -> Result<()> {
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
