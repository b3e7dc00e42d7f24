//! `identities.listIdentities`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::identities::IdentityResponse;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use serde::Deserialize;

/// Request of `identities.listIdentities`.
#[derive(Debug, Deserialize)]
pub struct ListIdentitiesRequest {
    limit: Option<i64>,
    cursor: Option<String>,
    search: Option<String>,
}

/// `identities.listIdentities`.
///
/// # Errors
/// As [`identities::list`].
pub async fn list_identities(call: Call, request: ListIdentitiesRequest) -> Result<Reply<Vec<IdentityResponse>>> {
    let page = PageRequest::new(request.limit, request.cursor);
    let page = call.read(move |tx, caller, _| identities::list(tx, caller, request.search.as_deref(), &page)).await?;
    Ok(Reply::page(page.map(IdentityResponse::from)))
}
