//! `apis.createApi`.

use crate::domain::apis;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::ApiId;
use serde::Deserialize;
use serde::Serialize;

/// Request of `apis.createApi`.
#[derive(Debug, Deserialize)]
pub struct CreateApiRequest {
    name: String,
}

/// Answer of `apis.createApi`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateApiResponse {
    api_id: ApiId,
}

/// `apis.createApi`.
///
/// # Errors
/// As [`apis::create`].
pub async fn create_api(call: Call, request: CreateApiRequest) -> Result<Reply<CreateApiResponse>> {
    let api_id = call.write(move |tx, caller, _| apis::create(tx, caller, &request.name)).await?;
    Ok(Reply::new(CreateApiResponse { api_id }))
}
