//! `keys.verifyKey`.

use crate::domain::verify;
use crate::domain::verify::Verified;
use crate::domain::verify::Verify;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::OwnerResponse;
use crate::http::keys::shown_meta;
use crate::http::keys::shown_time;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::MigrationId;
use crate::model::meta::Meta;
use crate::model::secret::Plaintext;
use crate::model::verdict::Outcome;
use serde::Deserialize;
use serde::Serialize;
use std::net::IpAddr;

/// Request of `keys.verifyKey`. Not `Debug`: it holds a secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct VerifyKeyRequest {
    key: String,
    api_id: Option<ApiId>,
    keyspaces: Option<Vec<ApiId>>,
    client_ip: Option<String>,
    permissions: Option<String>,
    migration_id: Option<MigrationId>,
}

/// Answer of `keys.verifyKey`: `NOT_FOUND` tells nothing beside.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyKeyResponse {
    valid: bool,
    code: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    key: Option<VerifiedKey>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifiedKey {
    key_id: KeyId,
    keyspace_id: ApiId,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<OwnerResponse>,
}

/// `keys.verifyKey`.
///
/// # Errors
/// As [`verify::verify`], and `invalid_input` for a `clientIp` that is no address.
pub async fn verify_key(call: Call, request: VerifyKeyRequest) -> Result<Reply<VerifyKeyResponse>> {
    let given = request
        .client_ip
        .map(|text| text.parse::<IpAddr>())
        .transpose()
        .map_err(|_malformed| Error::invalid("body.clientIp", "is neither an IPv4 nor an IPv6 address", None))?;
    let apis = match (request.api_id, request.keyspaces) {
        (None, keyspaces) => keyspaces,
        (Some(api), None) => Some(vec![api]),
        // Both restrict: what is left is their intersection.
        (Some(api), Some(keyspaces)) => Some(keyspaces.into_iter().filter(|keyspace| *keyspace == api).collect()),
    };
    let asked = Verify {
        key: Plaintext::new(request.key),
        migration: request.migration_id,
        apis,
        permissions: request.permissions,
        address: given.or(call.address),
    };
    let verified = verify::verify(&call.app.db, &call.app.last_used, &call.caller, &call.origin, asked).await?;
    call.app.metrics.verification(verified.verdict.outcome);
    Ok(Reply::new(VerifyKeyResponse::from(verified)))
}

impl From<Verified> for VerifyKeyResponse {
    fn from(verified: Verified) -> Self {
        let outcome = verified.verdict.outcome;
        let key = verified.snapshot.map(|snapshot| VerifiedKey {
            identity: snapshot
                .identity
                .map(|identity| OwnerResponse::new(identity, snapshot.limits.of_identity_alone())),
            key_id: snapshot.key.id,
            keyspace_id: snapshot.key.api_id,
            enabled: snapshot.key.enabled,
            name: snapshot.key.name,
            meta: shown_meta(snapshot.key.meta),
            expires: shown_time(snapshot.key.expires_at),
            permissions: snapshot.access.slugs(),
            roles: snapshot.access.roles.into_keys().collect(),
        });
        Self { valid: outcome == Outcome::Valid, code: outcome.code(), key }
    }
}
