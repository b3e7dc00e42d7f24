//! `identities.updateIdentity`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::identities::IdentityResponse;
use crate::http::rate_limits::RateLimitRequest;
use crate::model::error::Result;
use crate::model::identity::IdentityChanges;
use crate::model::meta::Meta;
use crate::model::rate_limit::Defined;
use serde::Deserialize;

/// Request of `identities.updateIdentity`.
#[derive(Debug, Deserialize)]
pub struct UpdateIdentityRequest {
    identity: String,
    meta: Option<Meta>,
    enabled: Option<bool>,
    ratelimits: Option<Vec<RateLimitRequest>>,
}

/// `identities.updateIdentity`.
///
/// # Errors
/// As [`identities::update`].
pub async fn update_identity(call: Call, request: UpdateIdentityRequest) -> Result<Reply<IdentityResponse>> {
    let changes = IdentityChanges { meta: request.meta.map(Some), enabled: request.enabled };
    let limits: Option<Vec<Defined>> = request.ratelimits.map(|limits| limits.into_iter().map(Into::into).collect());
    let name = request.identity;
    let updated =
        call.write(move |tx, caller, _| identities::update(tx, caller, &name, &changes, limits.as_deref())).await?;
    Ok(Reply::new(IdentityResponse::from(updated)))
}
