//! `keys.rerollKey`.

use crate::domain::keys::reroll;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::CreatedResponse;
use crate::model::error::Result;
use crate::model::id::KeyId;
use chrono::Duration;
use serde::Deserialize;

/// Request of `keys.rerollKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RerollKeyRequest {
    key_id: KeyId,
    /// How long the old key lives on, milliseconds; `null` leaves its own end.
    expiration: Option<i64>,
}

/// `keys.rerollKey`.
///
/// # Errors
/// As [`reroll::reroll`].
pub async fn reroll_key(call: Call, request: RerollKeyRequest) -> Result<Reply<CreatedResponse>> {
    let grace = request.expiration.and_then(Duration::try_milliseconds);
    let created =
        call.write(move |tx, caller, app| reroll::reroll(tx, caller, &app.master_keys, &request.key_id, grace)).await?;
    Ok(Reply::new(CreatedResponse::from(created)))
}
