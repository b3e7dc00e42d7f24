//! `rootKeys.listKeys`.

use crate::domain::root_keys::read;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::root_keys::RootKeyResponse;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use serde::Deserialize;

/// Request of `rootKeys.listKeys`.
#[derive(Debug, Deserialize)]
pub struct ListRootKeysRequest {
    limit: Option<i64>,
    cursor: Option<String>,
}

/// `rootKeys.listKeys`.
///
/// # Errors
/// As [`read::list`].
pub async fn list_keys(call: Call, request: ListRootKeysRequest) -> Result<Reply<Vec<RootKeyResponse>>> {
    let page = PageRequest::new(request.limit, request.cursor);
    let page = call.read(move |tx, caller, _| read::list(tx, caller, &page)).await?;
    Ok(Reply::page(page.map(RootKeyResponse::from)))
}
