//! `ratelimit.setOverride`.

use crate::domain::ratelimit::overrides;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::OverrideId;
use serde::Deserialize;
use serde::Serialize;

/// Request of `ratelimit.setOverride`.
#[derive(Debug, Deserialize)]
pub struct SetOverrideRequest {
    namespace: String,
    identifier: String,
    limit: i64,
    duration: i64,
}

/// Answer of `ratelimit.setOverride`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetOverrideResponse {
    override_id: OverrideId,
}

/// `ratelimit.setOverride`.
///
/// # Errors
/// As [`overrides::set`].
pub async fn set_override(call: Call, request: SetOverrideRequest) -> Result<Reply<SetOverrideResponse>> {
    let SetOverrideRequest { namespace, identifier, limit, duration } = request;
    let set = call.write(move |tx, caller, _| overrides::set(tx, caller, &namespace, &identifier, limit, duration));
    Ok(Reply::new(SetOverrideResponse { override_id: set.await? }))
}
