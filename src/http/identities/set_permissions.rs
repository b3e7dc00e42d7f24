//! `identities.setPermissions`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::PermissionResponse;
use crate::http::permissions::shown;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `identities.setPermissions`.
#[derive(Debug, Deserialize)]
pub struct SetPermissionsRequest {
    identity: String,
    permissions: Vec<String>,
}

/// `identities.setPermissions`.
///
/// # Errors
/// As [`identities::set_permissions`].
pub async fn set_permissions(call: Call, request: SetPermissionsRequest) -> Result<Reply<Vec<PermissionResponse>>> {
    let held = call
        .write(move |tx, caller, _| identities::set_permissions(tx, caller, &request.identity, &request.permissions))
        .await?;
    Ok(Reply::new(shown(held)))
}
