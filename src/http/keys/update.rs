//! `keys.updateKey`.

use crate::domain::keys::update;
use crate::domain::keys::update::UpdateKey;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::http::keys::credits::ChangedCreditsRequest;
use crate::http::keys::moment;
use crate::http::patch;
use crate::http::rate_limits::RateLimitRequest;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::KeyChanges;
use crate::model::meta::Meta;
use serde::Deserialize;

/// Request of `keys.updateKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateKeyRequest {
    key_id: KeyId,
    #[serde(default, deserialize_with = "patch::field")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch::field")]
    meta: Option<Option<Meta>>,
    #[serde(default, deserialize_with = "patch::field")]
    expires: Option<Option<i64>>,
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "patch::field")]
    external_id: Option<Option<String>>,
    permissions: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    #[serde(default, deserialize_with = "patch::field")]
    credits: Option<Option<ChangedCreditsRequest>>,
    ratelimits: Option<Vec<RateLimitRequest>>,
}

/// `keys.updateKey`.
///
/// # Errors
/// As [`update::update`].
pub async fn update_key(call: Call, request: UpdateKeyRequest) -> Result<Reply<Empty>> {
    let expires_at = match request.expires {
        Some(Some(ms)) => Some(Some(moment("body.expires", ms)?)),
        Some(None) => Some(None),
        None => None,
    };
    let columns =
        KeyChanges { name: request.name, meta: request.meta, enabled: request.enabled, expires_at, identity_id: None };
    let wanted = UpdateKey {
        columns,
        external_id: request.external_id,
        permissions: request.permissions,
        roles: request.roles,
        credits: ChangedCreditsRequest::changes(request.credits)?,
        limits: request.ratelimits.map(|limits| limits.into_iter().map(Into::into).collect()),
    };
    call.write(move |tx, caller, _| update::update(tx, caller, &request.key_id, &wanted)).await?;
    Ok(Reply::new(Empty {}))
}
