//! `keys.createKey`.

use crate::domain::keys::create;
use crate::domain::keys::create::CreateKey;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::keys::CreatedResponse;
use crate::http::keys::credits::NewCreditsRequest;
use crate::http::keys::moment;
use crate::http::rate_limits::RateLimitRequest;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::meta::Meta;
use serde::Deserialize;

/// Request of `keys.createKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateKeyRequest {
    api_id: ApiId,
    prefix: Option<String>,
    name: Option<String>,
    byte_length: Option<i32>,
    meta: Option<Meta>,
    expires: Option<i64>,
    enabled: Option<bool>,
    recoverable: Option<bool>,
    external_id: Option<String>,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    credits: Option<NewCreditsRequest>,
    #[serde(default)]
    ratelimits: Vec<RateLimitRequest>,
}

/// `keys.createKey`.
///
/// # Errors
/// As [`create::create`].
pub async fn create_key(call: Call, request: CreateKeyRequest) -> Result<Reply<CreatedResponse>> {
    let new = CreateKey {
        api_id: request.api_id,
        prefix: request.prefix,
        byte_length: request.byte_length,
        name: request.name,
        meta: request.meta,
        expires_at: request.expires.map(|ms| moment("body.expires", ms)).transpose()?,
        enabled: request.enabled.unwrap_or(true),
        recoverable: request.recoverable.unwrap_or(false),
        external_id: request.external_id,
        permissions: request.permissions,
        roles: request.roles,
        credits: request.credits.map(Into::into),
        limits: request.ratelimits.into_iter().map(Into::into).collect(),
    };
    let created = call.write(move |tx, caller, app| create::create(tx, caller, &app.master_keys, &new)).await?;
    Ok(Reply::new(CreatedResponse::from(created)))
}
