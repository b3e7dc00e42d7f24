//! `identities.createIdentity`.

use crate::app::App;
use crate::authz::caller::Caller;
use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::rate_limits::RateLimitRequest;
use crate::model::error::Result;
use crate::model::id::IdentityId;
use crate::model::meta::Meta;
use crate::model::rate_limit::Defined;
use crate::store::tx::Tx;
use serde::Deserialize;
use serde::Serialize;

/// Request of `identities.createIdentity`. The contract tolerates further fields here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateIdentityRequest {
    external_id: String,
    meta: Option<Meta>,
    enabled: Option<bool>,
    #[serde(default)]
    ratelimits: Vec<RateLimitRequest>,
}

/// Answer of `identities.createIdentity`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateIdentityResponse {
    identity_id: IdentityId,
}

/// `identities.createIdentity`.
///
/// # Errors
/// As [`identities::create`].
pub async fn create_identity(call: Call, request: CreateIdentityRequest) -> Result<Reply<CreateIdentityResponse>> {
    let CreateIdentityRequest { external_id, meta, enabled, ratelimits } = request;
    let enabled = enabled.unwrap_or(true);
    let limits: Vec<Defined> = ratelimits.into_iter().map(Into::into).collect();
    let create = move |tx: &mut Tx<'_>, caller: &Caller, _: &App| {
        identities::create(tx, caller, &external_id, meta.as_ref(), enabled, limits.clone())
    };
    let identity_id = call.write(create).await?;
    Ok(Reply::new(CreateIdentityResponse { identity_id }))
}
