//! `keys.updateKey`.

use crate::domain::keys::update;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::http::keys::moment;
use crate::http::patch;
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
    let changes = KeyChanges { name: request.name, meta: request.meta, enabled: request.enabled, expires_at };
    call.write(move |tx, caller, _| update::update(tx, caller, &request.key_id, &changes)).await?;
    Ok(Reply::new(Empty {}))
}
