//! Identities (contract/identities.md).

use crate::authz::caller::Permit;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::IdentityId;
use crate::model::identity::Identity;
use crate::store;
use crate::store::tx::Tx;

/// The live identity with this external id, made if there is none. Racing calls end with one.
///
/// # Errors
/// Only the database's.
pub fn ensure(tx: &mut Tx<'_>, permit: &Permit, external_id: &str) -> Result<IdentityId> {
    if let Some(identity) = store::identities::by_external_id(tx, permit.workspace(), external_id)? {
        return Ok(identity.id);
    }
    let new = Identity {
        id: IdentityId::generate(),
        workspace_id: permit.workspace().clone(),
        external_id: external_id.to_owned(),
        meta: None,
        enabled: true,
        created_at: tx.now(),
        updated_at: None,
    };
    if store::identities::insert(tx, permit, &new)? {
        return Ok(new.id);
    }
    // Another transaction made it between the two statements.
    store::identities::by_external_id(tx, permit.workspace(), external_id)?
        .map(|identity| identity.id)
        .ok_or_else(|| Error::unexpected("an identity was made and deleted by others in one moment"))
}
