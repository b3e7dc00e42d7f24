//! `permissions.deleteRole`.

use crate::domain::roles;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `permissions.deleteRole`.
#[derive(Debug, Deserialize)]
pub struct DeleteRoleRequest {
    role: String,
}

/// `permissions.deleteRole`.
///
/// # Errors
/// As [`roles::delete`].
pub async fn delete_role(call: Call, request: DeleteRoleRequest) -> Result<Reply<Empty>> {
    call.write(move |tx, caller, _| roles::delete(tx, caller, &request.role)).await?;
    Ok(Reply::new(Empty {}))
}
