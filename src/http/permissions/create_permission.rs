//! `permissions.createPermission`.

use crate::domain::permissions;
use crate::domain::permissions::CreatePermission;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::PermissionId;
use serde::Deserialize;
use serde::Serialize;

/// Request of `permissions.createPermission`.
#[derive(Debug, Deserialize)]
pub struct CreatePermissionRequest {
    name: String,
    slug: String,
    description: Option<String>,
}

/// Answer of `permissions.createPermission`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePermissionResponse {
    permission_id: PermissionId,
}

/// `permissions.createPermission`.
///
/// # Errors
/// As [`permissions::create`].
pub async fn create_permission(
    call: Call,
    request: CreatePermissionRequest,
) -> Result<Reply<CreatePermissionResponse>> {
    let new = CreatePermission { slug: request.slug, name: request.name, description: request.description };
    let permission_id = call.write(move |tx, caller, _| permissions::create(tx, caller, &new)).await?;
    Ok(Reply::new(CreatePermissionResponse { permission_id }))
}
