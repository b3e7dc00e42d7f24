//! `permissions.updatePermission`.

use crate::domain::permissions;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::patch;
use crate::http::permissions::PermissionResponse;
use crate::model::error::Result;
use crate::model::permission::PermissionChanges;
use serde::Deserialize;

/// Request of `permissions.updatePermission`.
#[derive(Debug, Deserialize)]
pub struct UpdatePermissionRequest {
    permission: String,
    name: Option<String>,
    slug: Option<String>,
    #[serde(default, deserialize_with = "patch::field")]
    description: Option<Option<String>>,
}

/// `permissions.updatePermission`.
///
/// # Errors
/// As [`permissions::update`].
pub async fn update_permission(call: Call, request: UpdatePermissionRequest) -> Result<Reply<PermissionResponse>> {
    let changes = PermissionChanges { slug: request.slug, name: request.name, description: request.description };
    let permission =
        call.write(move |tx, caller, _| permissions::update(tx, caller, &request.permission, &changes)).await?;
    Ok(Reply::new(PermissionResponse::from(permission)))
}
