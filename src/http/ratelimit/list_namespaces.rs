//! `ratelimit.listNamespaces`.

use crate::domain::ratelimit::namespaces;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::ratelimit::NamespaceResponse;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use serde::Deserialize;

/// Request of `ratelimit.listNamespaces`.
#[derive(Debug, Deserialize)]
pub struct ListNamespacesRequest {
    limit: Option<i64>,
    cursor: Option<String>,
    search: Option<String>,
}

/// `ratelimit.listNamespaces`.
///
/// # Errors
/// As [`namespaces::list`].
pub async fn list_namespaces(call: Call, request: ListNamespacesRequest) -> Result<Reply<Vec<NamespaceResponse>>> {
    let page = PageRequest::new(request.limit, request.cursor);
    let page = call.read(move |tx, caller, _| namespaces::list(tx, caller, request.search.as_deref(), &page)).await?;
    Ok(Reply::page(page.map(NamespaceResponse::from)))
}
