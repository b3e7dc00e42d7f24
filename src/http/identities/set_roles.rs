//! `identities.setRoles`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::permissions::RoleResponse;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `identities.setRoles`.
#[derive(Debug, Deserialize)]
pub struct SetRolesRequest {
    identity: String,
    roles: Vec<String>,
}

/// `identities.setRoles`. The roles are shown without their permissions.
///
/// # Errors
/// As [`identities::set_roles`].
pub async fn set_roles(call: Call, request: SetRolesRequest) -> Result<Reply<Vec<RoleResponse>>> {
    let held =
        call.write(move |tx, caller, _| identities::set_roles(tx, caller, &request.identity, &request.roles)).await?;
    Ok(Reply::new(held.into_iter().map(RoleResponse::from).collect()))
}
