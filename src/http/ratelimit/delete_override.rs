//! `ratelimit.deleteOverride`.

use crate::domain::ratelimit::overrides;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `ratelimit.deleteOverride`.
#[derive(Debug, Deserialize)]
pub struct DeleteOverrideRequest {
    namespace: String,
    identifier: String,
}

/// `ratelimit.deleteOverride`.
///
/// # Errors
/// As [`overrides::delete`].
pub async fn delete_override(call: Call, request: DeleteOverrideRequest) -> Result<Reply<Empty>> {
    let DeleteOverrideRequest { namespace, identifier } = request;
    call.write(move |tx, caller, _| overrides::delete(tx, caller, &namespace, &identifier)).await?;
    Ok(Reply::new(Empty {}))
}
