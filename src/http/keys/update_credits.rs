//! `keys.updateCredits`.

use crate::domain::keys::credits;
use crate::domain::keys::credits::Operation;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::CreditsResponse;
use crate::model::error::Result;
use crate::model::id::KeyId;
use serde::Deserialize;

/// Request of `keys.updateCredits`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCreditsRequest {
    key_id: KeyId,
    operation: OperationRequest,
    /// `null` and nothing are the same.
    value: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OperationRequest {
    Set,
    Increment,
    Decrement,
}

impl From<OperationRequest> for Operation {
    fn from(request: OperationRequest) -> Self {
        match request {
            OperationRequest::Set => Self::Set,
            OperationRequest::Increment => Self::Increment,
            OperationRequest::Decrement => Self::Decrement,
        }
    }
}

/// `keys.updateCredits`.
///
/// # Errors
/// As [`credits::update`].
pub async fn update_credits(call: Call, request: UpdateCreditsRequest) -> Result<Reply<CreditsResponse>> {
    let UpdateCreditsRequest { key_id, operation, value } = request;
    let credits =
        call.write(move |tx, caller, _| credits::update(tx, caller, &key_id, operation.into(), value)).await?;
    Ok(Reply::new(CreditsResponse::from(credits)))
}
