//! `keys.addPermissions`, `keys.setPermissions`, `keys.removePermissions`.

use crate::domain::keys::permissions;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::PermissionResponse;
use crate::http::permissions::shown;
use crate::model::error::Result;
use crate::model::id::KeyId;
use serde::Deserialize;

/// Request of `keys.addPermissions`, `keys.setPermissions` and `keys.removePermissions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyPermissionsRequest {
    key_id: KeyId,
    permissions: Vec<String>,
}

/// `keys.addPermissions`.
///
/// # Errors
/// As [`permissions::add`].
pub async fn add_permissions(call: Call, request: KeyPermissionsRequest) -> Result<Reply<Vec<PermissionResponse>>> {
    let held =
        call.write(move |tx, caller, _| permissions::add(tx, caller, &request.key_id, &request.permissions)).await?;
    Ok(Reply::new(shown(held)))
}

/// `keys.setPermissions`.
///
/// # Errors
/// As [`permissions::set`].
pub async fn set_permissions(call: Call, request: KeyPermissionsRequest) -> Result<Reply<Vec<PermissionResponse>>> {
    let held =
        call.write(move |tx, caller, _| permissions::set(tx, caller, &request.key_id, &request.permissions)).await?;
    Ok(Reply::new(shown(held)))
}

/// `keys.removePermissions`.
///
/// # Errors
/// As [`permissions::remove`].
pub async fn remove_permissions(call: Call, request: KeyPermissionsRequest) -> Result<Reply<Vec<PermissionResponse>>> {
    let left =
        call.write(move |tx, caller, _| permissions::remove(tx, caller, &request.key_id, &request.permissions)).await?;
    Ok(Reply::new(shown(left)))
}
