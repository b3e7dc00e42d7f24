//! Recoverable keys: sealing them when they are made, opening them for who may see them.

use crate::authz::caller::Permit;
use crate::model::api::Api;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::model::master_key::MasterKeys;
use crate::model::secret::Plaintext;
use crate::store;
use crate::store::tx::Tx;
use std::collections::HashMap;

/// Refuses what needs recoverable keys where there can be none.
///
/// # Errors
/// `precondition_failed`: no master key, or the API has not opted in.
pub fn check_possible(master_keys: &MasterKeys, api: &Api) -> Result<()> {
    if master_keys.is_empty() {
        return Err(Error::new(
            Code::PreconditionFailed,
            "Recoverable keys need a master key, and this server has none. Its operator sets KEYWARD_MASTER_KEY to what \
             `keyward master-key generate` prints.",
        ));
    }
    if !api.recoverable {
        return Err(Error::new(
            Code::PreconditionFailed,
            "This API has not opted in to recoverable keys. Do so with apis.updateApi {\"recoverable\": true}.",
        ));
    }
    Ok(())
}

/// Seals a new key and stores the sealed copy.
///
/// # Errors
/// `precondition_failed` without a master key.
pub fn seal(
    tx: &mut Tx<'_>,
    permit: &Permit,
    master_keys: &MasterKeys,
    id: &KeyId,
    plaintext: &Plaintext,
) -> Result<()> {
    let sealed = master_keys
        .seal(permit.workspace(), id, plaintext)?
        .ok_or_else(|| Error::new(Code::PreconditionFailed, "Recoverable keys need a master key."))?;
    Ok(store::sealed_keys::insert(tx, permit, id, &sealed)?)
}

/// Opens the sealed copies of these keys, as far as there are any, and writes so into the audit log.
///
/// # Errors
/// `precondition_failed` if the master key of one is not configured, `assertion_failed` if one does not open: a wrong
/// master key is an error and never a silent absence.
pub fn open(
    tx: &mut Tx<'_>,
    permit: &Permit,
    master_keys: &MasterKeys,
    ids: &[&KeyId],
) -> Result<HashMap<KeyId, Plaintext>> {
    use crate::model::master_key::CannotOpen;
    let sealed = store::sealed_keys::find(tx, permit.workspace(), ids)?;
    let opened: HashMap<_, _> = sealed
        .into_iter()
        .map(|(id, sealed)| match master_keys.open(permit.workspace(), &id, &sealed) {
            Ok(plaintext) => Ok((id, plaintext)),
            Err(reason @ CannotOpen::NoMasterKey(_)) => Err(Error::new(
                Code::PreconditionFailed,
                format!("A recoverable key cannot be shown: {reason}. Its operator adds it to KEYWARD_MASTER_KEY."),
            )),
            Err(reason @ CannotOpen::NotAuthentic) => Err(Error::new(
                Code::AssertionFailed,
                format!("A recoverable key cannot be shown: {reason}. Nothing was changed."),
            )
            .caused_by(format!("{id}: {reason}"))),
        })
        .collect::<Result<_>>()?;
    store::sealed_keys::note_decrypted(tx, permit, &opened.keys().collect::<Vec<_>>());
    Ok(opened)
}

/// The plaintext of one key, `None` if it was not made recoverable.
///
/// # Errors
/// As [`open`], and `key_not_found` never: the key was found before.
pub fn open_one(
    tx: &mut Tx<'_>,
    permit: &Permit,
    master_keys: &MasterKeys,
    key: &FullKey,
) -> Result<Option<Plaintext>> {
    check_possible(master_keys, &key.api)?;
    Ok(open(tx, permit, master_keys, &[&key.key.id])?.remove(&key.key.id))
}
