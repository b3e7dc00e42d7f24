//! `rootKeys.createKey`.

use crate::domain::root_keys::Mint;
use crate::domain::root_keys::create;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::moment;
use crate::http::root_keys::MintedResponse;
use crate::model::error::Result;
use serde::Deserialize;

/// Request of `rootKeys.createKey`.
#[derive(Debug, Deserialize)]
pub struct CreateRootKeyRequest {
    permissions: Vec<String>,
    name: Option<String>,
    expires: Option<i64>,
}

/// `rootKeys.createKey`.
///
/// # Errors
/// As [`create::create`].
pub async fn create_key(call: Call, request: CreateRootKeyRequest) -> Result<Reply<MintedResponse>> {
    let mint = Mint {
        name: request.name,
        permissions: request.permissions,
        expires_at: request.expires.map(|ms| moment("body.expires", ms)).transpose()?,
    };
    let minted = call.write(move |tx, caller, _| create::create(tx, caller, &mint)).await?;
    Ok(Reply::new(MintedResponse::from(minted)))
}
