//! `permissions.updateRole`.

use crate::domain::roles;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::patch;
use crate::http::permissions::RoleResponse;
use crate::model::error::Result;
use crate::model::permission::RoleChanges;
use serde::Deserialize;

/// Request of `permissions.updateRole`.
#[derive(Debug, Deserialize)]
pub struct UpdateRoleRequest {
    role: String,
    name: Option<String>,
    #[serde(default, deserialize_with = "patch::field")]
    description: Option<Option<String>>,
}

/// `permissions.updateRole`.
///
/// # Errors
/// As [`roles::update`].
pub async fn update_role(call: Call, request: UpdateRoleRequest) -> Result<Reply<RoleResponse>> {
    let changes = RoleChanges { name: request.name, description: request.description };
    let role = call.write(move |tx, caller, _| roles::update(tx, caller, &request.role, &changes)).await?;
    Ok(Reply::new(RoleResponse::from(role)))
}
