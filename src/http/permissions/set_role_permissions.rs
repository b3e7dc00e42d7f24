//! `permissions.setRolePermissions`.

use crate::domain::roles;
use crate::domain::roles::Which;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::PermissionResponse;
use crate::http::permissions::shown;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::RoleId;
use serde::Deserialize;

/// Request of `permissions.setRolePermissions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetRolePermissionsRequest {
    role_id: Option<RoleId>,
    role: Option<String>,
    permissions: Vec<String>,
}

/// `permissions.setRolePermissions`.
///
/// # Errors
/// As [`roles::set_permissions`].
pub async fn set_role_permissions(
    call: Call,
    request: SetRolePermissionsRequest,
) -> Result<Reply<Vec<PermissionResponse>>> {
    let which = match (request.role_id, request.role) {
        (Some(id), None) => Which::Id(id),
        (None, Some(text)) => Which::IdOrName(text),
        // The contract lets neither pass.
        (None, None) | (Some(_), Some(_)) => {
            return Err(Error::invalid("body", "must hold either `role` or `roleId`", None));
        }
    };
    let slugs = request.permissions;
    let permissions = call.write(move |tx, caller, _| roles::set_permissions(tx, caller, &which, &slugs)).await?;
    Ok(Reply::new(shown(permissions)))
}
