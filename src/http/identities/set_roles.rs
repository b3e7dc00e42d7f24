//! `identities.setRoles`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use crate::model::id::RoleId;
use crate::model::permission::Role;
use serde::Deserialize;
use serde::Serialize;

/// Request of `identities.setRoles`.
#[derive(Debug, Deserialize)]
pub struct SetRolesRequest {
    identity: String,
    roles: Vec<String>,
}

/// A role of the identity.
#[derive(Debug, Serialize)]
pub struct HeldRole {
    id: RoleId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// `identities.setRoles`.
///
/// # Errors
/// As [`identities::set_roles`].
pub async fn set_roles(call: Call, request: SetRolesRequest) -> Result<Reply<Vec<HeldRole>>> {
    let held =
        call.write(move |tx, caller, _| identities::set_roles(tx, caller, &request.identity, &request.roles)).await?;
    Ok(Reply::new(held.into_iter().map(HeldRole::from).collect()))
}

impl From<Role> for HeldRole {
    fn from(role: Role) -> Self {
        let Role { id, name, description, .. } = role;
        Self { id, name, description }
    }
}
