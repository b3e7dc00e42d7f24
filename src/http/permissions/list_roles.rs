//! `permissions.listRoles`.

use crate::domain::roles;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::RoleResponse;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use serde::Deserialize;

/// Request of `permissions.listRoles`.
#[derive(Debug, Deserialize)]
pub struct ListRolesRequest {
    limit: Option<i64>,
    cursor: Option<String>,
    search: Option<String>,
}

/// `permissions.listRoles`.
///
/// # Errors
/// As [`roles::list`].
pub async fn list_roles(call: Call, request: ListRolesRequest) -> Result<Reply<Vec<RoleResponse>>> {
    let page = PageRequest::new(request.limit, request.cursor);
    let page = call.read(move |tx, caller, _| roles::list(tx, caller, request.search.as_deref(), &page)).await?;
    Ok(Reply::page(page.map(RoleResponse::from)))
}
