//! `identities.getIdentity`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::identities::IdentityResponse;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `identities.getIdentity`.
#[derive(Debug, Deserialize)]
pub struct GetIdentityRequest {
    identity: String,
}

/// `identities.getIdentity`.
///
/// # Errors
/// As [`identities::get`].
pub async fn get_identity(call: Call, request: GetIdentityRequest) -> Result<Reply<IdentityResponse>> {
    let identity = call.read(move |tx, caller, _| identities::get(tx, caller, &request.identity)).await?;
    Ok(Reply::new(IdentityResponse::from(identity)))
}
