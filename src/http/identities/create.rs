//! `identities.createIdentity`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::IdentityId;
use crate::model::meta::Meta;
use serde::Deserialize;
use serde::Serialize;

/// Request of `identities.createIdentity`. The contract tolerates further fields here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateIdentityRequest {
    external_id: String,
    meta: Option<Meta>,
    enabled: Option<bool>,
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
    let CreateIdentityRequest { external_id, meta, enabled } = request;
    let enabled = enabled.unwrap_or(true);
    let identity_id =
        call.write(move |tx, caller, _| identities::create(tx, caller, &external_id, meta.as_ref(), enabled)).await?;
    Ok(Reply::new(CreateIdentityResponse { identity_id }))
}
