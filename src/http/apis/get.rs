//! `apis.getApi`.

use crate::domain::apis;
use crate::http::apis::ApiResponse;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::ApiId;
use serde::Deserialize;

/// Request of `apis.getApi`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetApiRequest {
    api_id: ApiId,
}

/// `apis.getApi`.
///
/// # Errors
/// As [`apis::get`].
pub async fn get_api(call: Call, request: GetApiRequest) -> Result<Reply<ApiResponse>> {
    let api = call.read(move |tx, caller, _| apis::get(tx, caller, &request.api_id)).await?;
    Ok(Reply::new(ApiResponse::from(api)))
}
