//! `permissions.deletePermission`.

use crate::domain::permissions;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `permissions.deletePermission`.
#[derive(Debug, Deserialize)]
pub struct DeletePermissionRequest {
    permission: String,
}

/// `permissions.deletePermission`.
///
/// # Errors
/// As [`permissions::delete`].
pub async fn delete_permission(call: Call, request: DeletePermissionRequest) -> Result<Reply<Empty>> {
    call.write(move |tx, caller, _| permissions::delete(tx, caller, &request.permission)).await?;
    Ok(Reply::new(Empty {}))
}
