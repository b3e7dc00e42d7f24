//! `permissions.listPermissions`.

use crate::domain::permissions;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::PermissionResponse;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use serde::Deserialize;

/// Request of `permissions.listPermissions`.
#[derive(Debug, Deserialize)]
pub struct ListPermissionsRequest {
    limit: Option<i64>,
    cursor: Option<String>,
    search: Option<String>,
}

/// `permissions.listPermissions`.
///
/// # Errors
/// As [`permissions::list`].
pub async fn list_permissions(call: Call, request: ListPermissionsRequest) -> Result<Reply<Vec<PermissionResponse>>> {
    let page = PageRequest::new(request.limit, request.cursor);
    let page = call.read(move |tx, caller, _| permissions::list(tx, caller, request.search.as_deref(), &page)).await?;
    Ok(Reply::page(page.map(PermissionResponse::from)))
}
