//! `keys.getKey`.

use crate::app::App;
use crate::authz::caller::Caller;
use crate::domain::keys::read;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::KeyResponse;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::store::tx::Tx;
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
    let decrypt = request.decrypt;
    let get = move |tx: &mut Tx<'_>, caller: &Caller, app: &App| {
        read::get(tx, caller, &app.master_keys, &request.key_id, decrypt)
    };
    let shown = if decrypt { call.write(get).await? } else { call.read(get).await? };
    Ok(Reply::new(KeyResponse::from(shown)))
}
