//! Identities (contract/identities.md).

use crate::authz::caller::Permit;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::IdentityId;
use crate::model::identity::Identity;
use crate::store;
use crate::store::tx::Tx;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The live identity with this external id, made if there is none. Racing calls end with one.
///
/// # Errors
/// Only the database's.
pub fn ensure(tx: &mut Tx<'_>, permit: &Permit, external_id: &str) -> Result<IdentityId> {
    if let Some(identity) = store::identities::by_external_id(tx, permit.workspace(), external_id)? {
        return Ok(identity.id);
    }
    let new = named(tx, permit, external_id);
    if store::identities::insert(tx, permit, &new)? {
        return Ok(new.id);
    }
    // Another transaction made it between the two statements.
    store::identities::by_external_id(tx, permit.workspace(), external_id)?
        .map(|identity| identity.id)
        .ok_or_else(|| Error::unexpected("an identity was made and deleted by others in one moment"))
}

/// [`ensure`] for many at once: external id to id.
///
/// # Errors
/// Only the database's.
pub fn ensure_all(
    tx: &mut Tx<'_>,
    permit: &Permit,
    external_ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, IdentityId>> {
    let mut known = store::identities::by_external_ids(tx, permit.workspace(), external_ids)?;
    let missing: BTreeSet<_> = external_ids.iter().filter(|name| !known.contains_key(*name)).cloned().collect();
    let new: Vec<_> = missing.iter().map(|external_id| named(tx, permit, external_id)).collect();
    for rows in new.chunks(store::identities::MAX_ROWS) {
        store::identities::insert_missing(tx, permit, rows)?;
    }
    if !missing.is_empty() {
        known.extend(store::identities::by_external_ids(tx, permit.workspace(), &missing)?);
    }
    Ok(known)
}

fn named(tx: &Tx<'_>, permit: &Permit, external_id: &str) -> Identity {
    Identity {
        id: IdentityId::generate(),
        workspace_id: permit.workspace().clone(),
        external_id: external_id.to_owned(),
        meta: None,
        enabled: true,
        created_at: tx.now(),
        updated_at: None,
    }
}
