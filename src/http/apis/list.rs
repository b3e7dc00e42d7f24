//! `apis.listApis`.

use crate::domain::apis;
use crate::http::apis::ApiResponse;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use serde::Deserialize;

/// Request of `apis.listApis`.
#[derive(Debug, Deserialize)]
pub struct ListApisRequest {
    limit: Option<i64>,
    cursor: Option<String>,
    search: Option<String>,
}

/// `apis.listApis`.
///
/// # Errors
/// As [`apis::list`].
pub async fn list_apis(call: Call, request: ListApisRequest) -> Result<Reply<Vec<ApiResponse>>> {
    let page = PageRequest::new(request.limit, request.cursor);
    let page = call.read(move |tx, caller, _| apis::list(tx, caller, request.search.as_deref(), &page)).await?;
    Ok(Reply::page(page.map(ApiResponse::from)))
}
