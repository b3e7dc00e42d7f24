//! `permissions.getRole`.

use crate::domain::roles;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::RoleResponse;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `permissions.getRole`.
#[derive(Debug, Deserialize)]
pub struct GetRoleRequest {
    role: String,
}

/// `permissions.getRole`.
///
/// # Errors
/// As [`roles::get`].
pub async fn get_role(call: Call, request: GetRoleRequest) -> Result<Reply<RoleResponse>> {
    let role = call.read(move |tx, caller, _| roles::get(tx, caller, &request.role)).await?;
    Ok(Reply::new(RoleResponse::from(role)))
}
