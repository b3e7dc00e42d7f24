//! `identities.setPermissions`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::PermissionId;
use crate::model::permission::Permission;
use serde::Deserialize;
use serde::Serialize;

/// Request of `identities.setPermissions`.
#[derive(Debug, Deserialize)]
pub struct SetPermissionsRequest {
    identity: String,
    permissions: Vec<String>,
}

/// A permission that the identity holds.
#[derive(Debug, Serialize)]
pub struct HeldPermission {
    id: PermissionId,
    name: String,
    slug: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// `identities.setPermissions`.
///
/// # Errors
/// As [`identities::set_permissions`].
pub async fn set_permissions(call: Call, request: SetPermissionsRequest) -> Result<Reply<Vec<HeldPermission>>> {
    let held = call
        .write(move |tx, caller, _| identities::set_permissions(tx, caller, &request.identity, &request.permissions))
        .await?;
    Ok(Reply::new(held.into_iter().map(HeldPermission::from).collect()))
}

impl From<Permission> for HeldPermission {
    fn from(permission: Permission) -> Self {
        let Permission { id, name, slug, description, .. } = permission;
        Self { id, name, slug, description }
    }
}
