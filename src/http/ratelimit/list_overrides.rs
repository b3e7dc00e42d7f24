//! `ratelimit.listOverrides`.

use crate::domain::ratelimit::overrides;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::ratelimit::OverrideResponse;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use serde::Deserialize;

/// Rows of a page when the request does not say. Every other list has more.
const DEFAULT_LIMIT: i64 = 10;

/// Request of `ratelimit.listOverrides`.
#[derive(Debug, Deserialize)]
pub struct ListOverridesRequest {
    namespace: String,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// `ratelimit.listOverrides`.
///
/// # Errors
/// As [`overrides::list`].
pub async fn list_overrides(call: Call, request: ListOverridesRequest) -> Result<Reply<Vec<OverrideResponse>>> {
    let page = PageRequest::new(request.limit.or(Some(DEFAULT_LIMIT)), request.cursor);
    let page = call.read(move |tx, caller, _| overrides::list(tx, caller, &request.namespace, &page)).await?;
    Ok(Reply::page(page.map(OverrideResponse::from)))
}
