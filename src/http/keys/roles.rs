//! `keys.addRoles`, `keys.setRoles`, `keys.removeRoles`.

use crate::domain::keys::roles;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::RoleResponse;
use crate::model::error::Result;
use crate::model::id::KeyId;
use serde::Deserialize;

/// Request of `keys.addRoles`, `keys.setRoles` and `keys.removeRoles`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRolesRequest {
    key_id: KeyId,
    roles: Vec<String>,
}

/// `keys.addRoles`.
///
/// # Errors
/// As [`roles::add`].
pub async fn add_roles(call: Call, request: KeyRolesRequest) -> Result<Reply<Vec<RoleResponse>>> {
    let held = call.write(move |tx, caller, _| roles::add(tx, caller, &request.key_id, &request.roles)).await?;
    Ok(Reply::new(held.into_iter().map(RoleResponse::from).collect()))
}

/// `keys.setRoles`.
///
/// # Errors
/// As [`roles::set`].
pub async fn set_roles(call: Call, request: KeyRolesRequest) -> Result<Reply<Vec<RoleResponse>>> {
    let held = call.write(move |tx, caller, _| roles::set(tx, caller, &request.key_id, &request.roles)).await?;
    Ok(Reply::new(held.into_iter().map(RoleResponse::from).collect()))
}

/// `keys.removeRoles`.
///
/// # Errors
/// As [`roles::remove`].
pub async fn remove_roles(call: Call, request: KeyRolesRequest) -> Result<Reply<Vec<RoleResponse>>> {
    let left = call.write(move |tx, caller, _| roles::remove(tx, caller, &request.key_id, &request.roles)).await?;
    Ok(Reply::new(left.into_iter().map(RoleResponse::from).collect()))
}
