//! `permissions.createRole`.

use crate::domain::roles;
use crate::domain::roles::CreateRole;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::RoleId;
use serde::Deserialize;
use serde::Serialize;

/// Request of `permissions.createRole`.
#[derive(Debug, Deserialize)]
pub struct CreateRoleRequest {
    name: String,
    description: Option<String>,
    #[serde(default)]
    permissions: Vec<String>,
}

/// Answer of `permissions.createRole`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateRoleResponse {
    role_id: RoleId,
}

/// `permissions.createRole`.
///
/// # Errors
/// As [`roles::create`].
pub async fn create_role(call: Call, request: CreateRoleRequest) -> Result<Reply<CreateRoleResponse>> {
    let new = CreateRole { name: request.name, description: request.description, permissions: request.permissions };
    let role_id = call.write(move |tx, caller, _| roles::create(tx, caller, &new)).await?;
    Ok(Reply::new(CreateRoleResponse { role_id }))
}
