//! Changing the master key: every recoverable key is opened and sealed again under the first key of the ring.

use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::master_key::MasterKeys;
use crate::store;
use crate::store::tx::Tx;

/// Copies that one transaction seals again.
const BATCH: i64 = 500;

/// How far a rotation came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Copies that this step sealed again.
    pub resealed: usize,
    /// Where the next step begins; `None` when all is done.
    pub next: Option<KeyId>,
}

/// Refuses a ring that lacks a master key which sealed something: a rotation would stop half-way.
///
/// # Errors
/// `precondition_failed` without a master key, or naming those that lack.
pub fn refuse_incomplete(tx: &mut Tx<'_>, master_keys: &MasterKeys) -> Result<()> {
    if master_keys.is_empty() {
        return Err(no_master_key());
    }
    let lacking: Vec<_> = in_use(tx)?
        .into_iter()
        .filter(|(id, _)| !master_keys.ids().any(|known| known == id))
        .map(|(id, count)| format!("`{id}` ({count} keys)"))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::PreconditionFailed,
        format!(
            "recoverable keys are sealed under master keys that are not in the ring: {}; add them to KEYWARD_MASTER_KEY. \
             Nothing was changed.",
            lacking.join(", ")
        ),
    ))
}

fn no_master_key() -> Error {
    Error::new(Code::PreconditionFailed, "there is no master key: set KEYWARD_MASTER_KEY")
}

/// Seals the next copies again. Repeat with `next` until there is none; interrupting it loses nothing.
///
/// # Errors
/// `precondition_failed` without a master key, or if the one that sealed a copy is not in the ring; `assertion_failed`
/// if a copy does not open. Nothing of this step is changed then.
pub fn rotate_some(tx: &mut Tx<'_>, master_keys: &MasterKeys, after: &KeyId) -> Result<Progress> {
    let Some(sealing) = master_keys.sealing_id() else {
        return Err(no_master_key());
    };
    let copies = store::sealed_keys::not_sealed_by(tx, sealing, after, BATCH)?;
    let mut next = None;
    for (id, workspace, sealed) in &copies {
        let plaintext = master_keys.open(workspace, id, sealed).map_err(|reason| {
            Error::new(Code::PreconditionFailed, format!("the recoverable key {id} cannot be sealed again: {reason}"))
        })?;
        if let Some(again) = master_keys.seal(workspace, id, &plaintext)? {
            store::sealed_keys::reseal(tx, &Permit::of_operator(workspace.clone()), id, &again)?;
        }
        next = Some(id.clone());
    }
    Ok(Progress { resealed: copies.len(), next })
}

/// The ids of master keys that sealed something, with how many.
///
/// # Errors
/// Only the database's.
pub fn in_use(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>> {
    Ok(store::sealed_keys::master_keys_in_use(tx)?)
}
