//! `rootKeys.getKey`.

use crate::domain::root_keys::read;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::root_keys::RootKeyResponse;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use serde::Deserialize;

/// Request of `rootKeys.getKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRootKeyRequest {
    key_id: RootKeyId,
}

/// `rootKeys.getKey`.
///
/// # Errors
/// As [`read::get`].
pub async fn get_key(call: Call, request: GetRootKeyRequest) -> Result<Reply<RootKeyResponse>> {
    let root_key = call.read(move |tx, caller, _| read::get(tx, caller, &request.key_id)).await?;
    Ok(Reply::new(RootKeyResponse::from(root_key)))
}
