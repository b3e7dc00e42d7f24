//! `ratelimit.getOverride`.

use crate::domain::ratelimit::overrides;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::ratelimit::OverrideResponse;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `ratelimit.getOverride`.
#[derive(Debug, Deserialize)]
pub struct GetOverrideRequest {
    namespace: String,
    identifier: String,
}

/// `ratelimit.getOverride`.
///
/// # Errors
/// As [`overrides::get`].
pub async fn get_override(call: Call, request: GetOverrideRequest) -> Result<Reply<OverrideResponse>> {
    let GetOverrideRequest { namespace, identifier } = request;
    let found = call.read(move |tx, caller, _| overrides::get(tx, caller, &namespace, &identifier)).await?;
    Ok(Reply::new(OverrideResponse::from(found)))
}
