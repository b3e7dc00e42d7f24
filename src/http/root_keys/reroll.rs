//! `rootKeys.rerollKey`.

use crate::domain::root_keys::reroll;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::root_keys::MintedResponse;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use chrono::Duration;
use serde::Deserialize;

/// Request of `rootKeys.rerollKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RerollRootKeyRequest {
    key_id: RootKeyId,
    /// How long the old root key lives on, milliseconds; `null` leaves its own end.
    expiration: Option<i64>,
}

/// `rootKeys.rerollKey`.
///
/// # Errors
/// As [`reroll::reroll`].
pub async fn reroll_key(call: Call, request: RerollRootKeyRequest) -> Result<Reply<MintedResponse>> {
    let grace = request.expiration.and_then(Duration::try_milliseconds);
    let minted = call.write(move |tx, caller, _| reroll::reroll(tx, caller, &request.key_id, grace)).await?;
    Ok(Reply::new(MintedResponse::from(minted)))
}
