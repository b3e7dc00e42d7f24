//! `apis.deleteApi`.

use crate::domain::apis;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use crate::model::id::ApiId;
use serde::Deserialize;

/// Request of `apis.deleteApi`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteApiRequest {
    api_id: ApiId,
}

/// `apis.deleteApi`.
///
/// # Errors
/// As [`apis::delete`].
pub async fn delete_api(call: Call, request: DeleteApiRequest) -> Result<Reply<Empty>> {
    call.write(move |tx, caller, _| apis::delete(tx, caller, &request.api_id)).await?;
    Ok(Reply::new(Empty {}))
}
