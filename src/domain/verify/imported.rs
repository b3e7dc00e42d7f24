//! The first verification of a key that was imported by the hash of a part of it (keys.md section 13).

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::MigrationId;
use crate::model::id::WorkspaceId;
use crate::model::key::Key;
use crate::model::migration::Algorithm;
use crate::model::migration::PrefixedKey;
use crate::model::origin::Origin;
use crate::model::secret::Hash;
use crate::model::secret::Plaintext;
use crate::store;
use crate::store::database::Db;
use crate::store::snapshot;
use crate::store::snapshot::Snapshot;
use crate::store::tx::Tx;
use std::sync::Arc;

/// What a text was found to be that was not found as a key a moment ago.
#[derive(Debug)]
pub(super) enum Found {
    /// No key of this migration.
    Nothing,
    /// A key that another verification has just bound to this very text.
    Bound(Snapshot),
    /// An imported key that is not bound to a text yet.
    Pending(Snapshot),
}

/// Looks for the imported key that this text may be.
///
/// # Errors
/// `authentication/malformed` for a text that cannot be a key of this migration; the database's.
pub(super) async fn find(
    db: &Db,
    workspace: &WorkspaceId,
    migration: &MigrationId,
    presented: &Arc<Plaintext>,
) -> Result<Found> {
    let (workspace, migration, presented) = (workspace.clone(), migration.clone(), Arc::clone(presented));
    db.ask(move |tx| find_now(tx, &workspace, &migration, &presented)).await
}

fn find_now(tx: &mut Tx<'_>, workspace: &WorkspaceId, migration: &MigrationId, presented: &Plaintext) -> Result<Found> {
    let algorithm = store::imports::find_migration(tx, workspace, migration)?.map(|migration| migration.algorithm);
    // Keys of a sha256 migration are native: who asks here was not found there.
    let Some(Algorithm::PrefixedApiKey) = algorithm else { return Ok(Found::Nothing) };
    let hash = Hash::of(split(presented)?.long_token());
    if let Some(pending) = snapshot::load_pending(tx, workspace, &hash, migration)? {
        return Ok(Found::Pending(pending));
    }
    // It may have been bound between the first look for it and this one.
    Ok(snapshot::load(tx, workspace, &presented.hash())?.map_or(Found::Nothing, Found::Bound))
}

/// Binds the key to the text that was presented. The answer is what is now found under that text: of two first
/// verifications at once both find the key, and nothing if it was bound to another spelling meanwhile.
///
/// # Errors
/// The database's.
pub(super) async fn bind(
    db: &Db,
    caller: &Caller,
    origin: &Origin,
    key: Key,
    migration: &MigrationId,
    presented: &Arc<Plaintext>,
) -> Result<Option<Snapshot>> {
    let permit = caller.permit(On::ApiOf(&key.api_id))?;
    let (migration, presented) = (migration.clone(), Arc::clone(presented));
    db.write(origin.clone(), move |tx| {
        let whole = presented.hash();
        store::imports::bind(tx, &permit, &key, &migration, &split(&presented)?, &whole)?;
        Ok(snapshot::load(tx, permit.workspace(), &whole)?)
    })
    .await
}

fn split(presented: &Plaintext) -> Result<PrefixedKey<'_>> {
    PrefixedKey::split(presented.reveal()).ok_or_else(|| {
        Error::new(
            Code::AuthenticationMalformed,
            "The key in `key` is not of the form `<prefix>_<short token>_<long token>` that keys of this migration have.",
        )
    })
}
