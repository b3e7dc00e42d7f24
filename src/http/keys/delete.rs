//! `keys.deleteKey`.

use crate::domain::keys::delete;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use crate::model::id::KeyId;
use serde::Deserialize;

/// Request of `keys.deleteKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteKeyRequest {
    key_id: KeyId,
    #[serde(default)]
    permanent: bool,
}

/// `keys.deleteKey`.
///
/// # Errors
/// As [`delete::delete`].
pub async fn delete_key(call: Call, request: DeleteKeyRequest) -> Result<Reply<Empty>> {
    call.write(move |tx, caller, _| delete::delete(tx, caller, &request.key_id, request.permanent)).await?;
    Ok(Reply::new(Empty {}))
}
