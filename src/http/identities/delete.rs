//! `identities.deleteIdentity`.

use crate::domain::identities;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `identities.deleteIdentity`.
#[derive(Debug, Deserialize)]
pub struct DeleteIdentityRequest {
    identity: String,
}

/// `identities.deleteIdentity`, the one operation that answers no `data`.
///
/// # Errors
/// As [`identities::delete`].
pub async fn delete_identity(call: Call, request: DeleteIdentityRequest) -> Result<Reply<Empty>> {
    call.write(move |tx, caller, _| identities::delete(tx, caller, &request.identity)).await?;
    Ok(Reply::bare())
}
