//! `keys.verifyKey`.

use crate::domain::verify;
use crate::domain::verify::Means;
use crate::domain::verify::Verified;
use crate::domain::verify::Verify;
use crate::domain::verify::limits::AskedLimit;
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
use crate::model::rate_limit::Evaluated;
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
    credits: Option<CreditsRequest>,
    #[serde(default)]
    ratelimits: Vec<LimitRequest>,
}

#[derive(Deserialize)]
struct CreditsRequest {
    cost: i64,
}

/// Unknown fields are tolerated.
#[derive(Deserialize)]
struct LimitRequest {
    name: String,
    cost: Option<i64>,
    limit: Option<i64>,
    duration: Option<i64>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratelimits: Vec<EvaluatedResponse>,
}

/// What one limit said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EvaluatedResponse {
    /// Empty for a limit that the request brought along.
    id: String,
    name: String,
    limit: i64,
    duration: i64,
    reset: i64,
    remaining: i64,
    exceeded: bool,
    auto_apply: bool,
}

impl From<Evaluated> for EvaluatedResponse {
    fn from(limit: Evaluated) -> Self {
        Self {
            id: limit.id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            name: limit.name,
            limit: limit.limit,
            duration: limit.duration_ms,
            reset: limit.reset_ms,
            remaining: limit.remaining,
            exceeded: limit.exceeded,
            auto_apply: limit.auto_apply,
        }
    }
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
        cost: request.credits.map_or(1, |credits| credits.cost),
        limits: request.ratelimits.into_iter().map(AskedLimit::from).collect(),
        address: given.or(call.address),
    };
    let app = &call.app;
    let means = Means { db: &app.db, limiter: &app.limiter, ledger: &app.ledger, last_used: &app.last_used };
    let verified = verify::verify(means, &call.caller, &call.origin, asked).await?;
    app.metrics.verification(verified.verdict.outcome);
    Ok(Reply::new(VerifyKeyResponse::from(verified)))
}

impl From<LimitRequest> for AskedLimit {
    fn from(asked: LimitRequest) -> Self {
        Self { name: asked.name, cost: asked.cost.unwrap_or(1), limit: asked.limit, duration_ms: asked.duration }
    }
}

impl From<Verified> for VerifyKeyResponse {
    fn from(verified: Verified) -> Self {
        let outcome = verified.verdict.outcome;
        let (credits, limits) = (verified.credits, verified.limits);
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
            credits,
            ratelimits: limits.into_iter().map(EvaluatedResponse::from).collect(),
        });
        Self { valid: outcome == Outcome::Valid, code: outcome.code(), key }
    }
}
