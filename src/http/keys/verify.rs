//! `keys.verifyKey`.

use crate::domain::verify;
use crate::domain::verify::Means;
use crate::domain::verify::Verified;
use crate::domain::verify::Verify;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::OwnerResponse;
use crate::http::keys::shown_time;
use crate::model::decision::Description;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::MigrationId;
use crate::model::identity::Identity;
use crate::model::meta::Meta;
use crate::model::rate_limit::AskedLimit;
use crate::model::rate_limit::Evaluated;
use crate::model::secret::Plaintext;
use crate::model::verdict::Outcome;
use serde::Deserialize;
use serde::Serialize;
use serde::Serializer;
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
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    explain: bool,
}

/// What a call costs.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(in crate::http) struct CreditsRequest {
    cost: i64,
}

impl CreditsRequest {
    /// Credits, 0 or more.
    pub(in crate::http) const fn cost(self) -> i64 {
        self.cost
    }
}

/// A limit that a call asks for. Unknown fields are tolerated.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::http) struct LimitRequest {
    name: String,
    cost: Option<i64>,
    limit: Option<i64>,
    duration: Option<i64>,
}

/// Answer of `keys.verifyKey`: written straight from what is known of the key, without a copy.
#[derive(Debug)]
pub struct VerifyKeyResponse(Verified);

/// `NOT_FOUND` tells nothing beside, but to whoever may read why.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    valid: bool,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a KeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyspace_id: Option<&'a ApiId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Meta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    permissions: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<OwnerResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratelimits: Vec<EvaluatedView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationView<'a>>,
}

/// Why.
#[derive(Serialize)]
struct ExplanationView<'a> {
    allowed: bool,
    #[serde(flatten)]
    description: &'a Description,
}

/// What one limit said.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EvaluatedView<'a> {
    /// Empty for a limit that the request brought along.
    id: &'a str,
    name: &'a str,
    limit: i64,
    duration: i64,
    reset: i64,
    remaining: i64,
    exceeded: bool,
    auto_apply: bool,
}

impl<'a> From<&'a Evaluated> for EvaluatedView<'a> {
    fn from(limit: &'a Evaluated) -> Self {
        Self {
            id: limit.id.as_ref().map_or("", |id| id.as_str()),
            name: &limit.name,
            limit: limit.limit,
            duration: limit.duration_ms,
            reset: limit.reset_ms,
            remaining: limit.remaining,
            exceeded: limit.exceeded,
            auto_apply: limit.auto_apply,
        }
    }
}

impl Serialize for VerifyKeyResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Self(verified) = self;
        let outcome = verified.verdict.outcome;
        let snapshot = verified.snapshot.as_deref();
        let key = snapshot.map(|snapshot| &snapshot.key);
        let view = View {
            valid: outcome == Outcome::Valid,
            code: outcome.code(),
            key_id: key.map(|key| &key.id),
            keyspace_id: key.map(|key| &key.api_id),
            enabled: key.map(|key| key.enabled),
            name: key.and_then(|key| key.name.as_deref()),
            meta: key.and_then(|key| key.meta.as_ref()).filter(|meta| !meta.is_empty()),
            expires: key.and_then(|key| shown_time(key.expires_at)),
            permissions: snapshot.map_or(&[], |snapshot| &snapshot.slugs),
            roles: snapshot.into_iter().flat_map(|snapshot| snapshot.access.roles.keys().map(String::as_str)).collect(),
            identity: snapshot.and_then(|snapshot| {
                let limits = snapshot.limits.of_identity_alone();
                snapshot.identity.as_ref().map(|identity| OwnerResponse::new(Identity::clone(identity), limits))
            }),
            credits: verified.credits,
            ratelimits: verified.limits.iter().map(EvaluatedView::from).collect(),
            explanation: verified
                .explanation
                .as_deref()
                .map(|description| ExplanationView { allowed: description.allowed(), description }),
        };
        view.serialize(serializer)
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
        tags: request.tags,
        explain: request.explain,
    };
    let app = &call.app;
    let means = Means {
        db: &app.db,
        cache: &app.cache,
        loader: &app.loader,
        limiter: &app.limiter,
        ledger: &app.ledger,
        events: &app.events,
        denials: &app.denials,
    };
    let verified = verify::verify(means, &call.caller, &call.origin, asked).await?;
    let outcome = verified.verdict.outcome;
    app.metrics.verification(outcome);
    Ok(Reply::new(VerifyKeyResponse(verified)).routine(outcome == Outcome::Valid))
}

impl From<LimitRequest> for AskedLimit {
    fn from(asked: LimitRequest) -> Self {
        Self { name: asked.name, cost: asked.cost.unwrap_or(1), limit: asked.limit, duration_ms: asked.duration }
    }
}
