//! Migrations: from where keys are imported (contract/keys.md section 13, decisions.md #32).

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::MigrationId;
use crate::model::migration::Algorithm;
use crate::model::migration::Migration;
use crate::store;
use crate::store::tx::Tx;

/// The one answer for a migration that is unknown or of another workspace.
#[must_use]
pub fn not_found() -> Error {
    Error::new(
        Code::MigrationNotFound,
        "The requested migration does not exist. Make one with migrations.createMigration.",
    )
}

/// Makes a migration.
///
/// # Errors
/// `insufficient_permissions`.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, name: &str, algorithm: Algorithm) -> Result<MigrationId> {
    let permit = caller.permit(On::Any)?;
    let migration = Migration {
        id: MigrationId::generate(),
        workspace_id: permit.workspace().clone(),
        name: name.to_owned(),
        algorithm,
        created_at: tx.now(),
    };
    store::imports::insert_migration(tx, &permit, &migration)?;
    Ok(migration.id)
}
