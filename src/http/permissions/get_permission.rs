//! `permissions.getPermission`.

use crate::domain::permissions;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::PermissionResponse;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `permissions.getPermission`.
#[derive(Debug, Deserialize)]
pub struct GetPermissionRequest {
    permission: String,
}

/// `permissions.getPermission`.
///
/// # Errors
/// As [`permissions::get`].
pub async fn get_permission(call: Call, request: GetPermissionRequest) -> Result<Reply<PermissionResponse>> {
    let permission = call.read(move |tx, caller, _| permissions::get(tx, caller, &request.permission)).await?;
    Ok(Reply::new(PermissionResponse::from(permission)))
}
