//! `keys.whoami`.

use crate::domain::keys::read;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::KeyResponse;
use crate::model::error::Result;
use crate::model::secret::Plaintext;
use serde::Deserialize;

/// Request of `keys.whoami`. Not `Debug`: it holds a secret.
#[derive(Deserialize)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct WhoamiRequest {
    key: String,
}

/// `keys.whoami`.
///
/// # Errors
/// As [`read::whoami`].
pub async fn whoami(call: Call, request: WhoamiRequest) -> Result<Reply<KeyResponse>> {
    let hash = Plaintext::new(request.key).hash();
    let key = call.read(move |tx, caller, _| read::whoami(tx, caller, &hash)).await?;
    Ok(Reply::new(KeyResponse::from(key)))
}
