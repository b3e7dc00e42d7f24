//! `keys.migrateKeys`.

use crate::domain::keys::migrate;
use crate::domain::keys::migrate::Import;
use crate::domain::keys::migrate::ImportKey;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::credits::NewCreditsRequest;
use crate::http::keys::moment;
use crate::http::rate_limits::RateLimitRequest;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::MigrationId;
use crate::model::meta::Meta;
use crate::model::secret::Hash;
use serde::Deserialize;
use serde::Serialize;

/// Request of `keys.migrateKeys`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds hashes")]
pub struct MigrateKeysRequest {
    migration_id: MigrationId,
    api_id: ApiId,
    keys: Vec<ImportRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImportRequest {
    hash: String,
    name: Option<String>,
    external_id: Option<String>,
    meta: Option<Meta>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    permissions: Vec<String>,
    expires: Option<i64>,
    enabled: Option<bool>,
    credits: Option<NewCreditsRequest>,
    #[serde(default)]
    ratelimits: Vec<RateLimitRequest>,
}

/// Answer of `keys.migrateKeys`: hashes as they were sent, in order.
#[derive(Debug, Serialize)]
pub struct MigrateKeysResponse {
    migrated: Vec<MigratedResponse>,
    failed: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MigratedResponse {
    hash: String,
    key_id: KeyId,
}

/// `keys.migrateKeys`.
///
/// # Errors
/// As [`migrate::migrate`], and `invalid_input` for what is no hash.
pub async fn migrate_keys(call: Call, request: MigrateKeysRequest) -> Result<Reply<MigrateKeysResponse>> {
    let hashes: Vec<_> = request.keys.iter().map(|key| key.hash.clone()).collect();
    let keys = request.keys.into_iter().enumerate().map(|(index, key)| read(index, key)).collect::<Result<Vec<_>>>()?;
    let import = Import { migration_id: request.migration_id, api_id: request.api_id, keys };
    let ids = call.write(move |tx, caller, _| migrate::migrate(tx, caller, &import)).await?;
    let (mut migrated, mut failed) = (Vec::new(), Vec::new());
    for (hash, id) in hashes.into_iter().zip(ids) {
        match id {
            Some(key_id) => migrated.push(MigratedResponse { hash, key_id }),
            None => failed.push(hash),
        }
    }
    Ok(Reply::new(MigrateKeysResponse { migrated, failed }))
}

fn read(index: usize, key: ImportRequest) -> Result<ImportKey> {
    let place = |field: &str| format!("body.keys[{index}].{field}");
    Ok(ImportKey {
        hash: Hash::parse(&key.hash).ok_or_else(|| Error::invalid(place("hash"), "is no SHA-256 hash", None))?,
        name: key.name,
        meta: key.meta,
        expires_at: key.expires.map(|ms| moment(&place("expires"), ms)).transpose()?,
        enabled: key.enabled.unwrap_or(true),
        external_id: key.external_id,
        permissions: key.permissions,
        roles: key.roles,
        credits: key.credits.map(Into::into),
        limits: key.ratelimits.into_iter().map(Into::into).collect(),
    })
}
