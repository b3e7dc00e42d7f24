//! `migrations.createMigration`.

use crate::domain::migrations;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::MigrationId;
use crate::model::migration::Algorithm;
use serde::Deserialize;
use serde::Serialize;

/// Request of `migrations.createMigration`.
#[derive(Debug, Deserialize)]
pub struct CreateMigrationRequest {
    name: String,
    algorithm: String,
}

/// Answer of `migrations.createMigration`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateMigrationResponse {
    migration_id: MigrationId,
}

/// `migrations.createMigration`.
///
/// # Errors
/// As [`migrations::create`].
pub async fn create_migration(call: Call, request: CreateMigrationRequest) -> Result<Reply<CreateMigrationResponse>> {
    let algorithm = Algorithm::from_name(&request.algorithm)
        .ok_or_else(|| Error::invalid("body.algorithm", "is no algorithm that hashes can be imported of", None))?;
    let migration_id =
        call.write(move |tx, caller, _| migrations::create(tx, caller, &request.name, algorithm)).await?;
    Ok(Reply::new(CreateMigrationResponse { migration_id }))
}
