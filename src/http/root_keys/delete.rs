//! `rootKeys.deleteKey`.

use crate::domain::root_keys::delete;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use serde::Deserialize;

/// Request of `rootKeys.deleteKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRootKeyRequest {
    key_id: RootKeyId,
}

/// `rootKeys.deleteKey`.
///
/// # Errors
/// As [`delete::delete`].
pub async fn delete_key(call: Call, request: DeleteRootKeyRequest) -> Result<Reply<Empty>> {
    call.write(move |tx, caller, _| delete::delete(tx, caller, &request.key_id)).await?;
    Ok(Reply::new(Empty {}))
}
