//! `keys.getKey`.

use crate::domain::keys::read;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::KeyResponse;
use crate::model::error::Result;
use crate::model::id::KeyId;
use serde::Deserialize;

/// Request of `keys.getKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetKeyRequest {
    key_id: KeyId,
    #[serde(default)]
    decrypt: bool,
}

/// `keys.getKey`.
///
/// # Errors
/// As [`read::get`].
pub async fn get_key(call: Call, request: GetKeyRequest) -> Result<Reply<KeyResponse>> {
    let shown = call
        .write(move |tx, caller, app| read::get(tx, caller, &app.master_keys, &request.key_id, request.decrypt))
        .await?;
    Ok(Reply::new(KeyResponse::from(shown)))
}
