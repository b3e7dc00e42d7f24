//! `rootKeys.updateKey`.

use crate::domain::root_keys::update;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::http::patch;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use crate::model::root_key::RootKeyChanges;
use serde::Deserialize;

/// Request of `rootKeys.updateKey`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRootKeyRequest {
    key_id: RootKeyId,
    #[serde(default, deserialize_with = "patch::field")]
    name: Option<Option<String>>,
    enabled: Option<bool>,
    permissions: Option<Vec<String>>,
}

/// `rootKeys.updateKey`.
///
/// # Errors
/// As [`update::update`].
pub async fn update_key(call: Call, request: UpdateRootKeyRequest) -> Result<Reply<Empty>> {
    let changes = RootKeyChanges {
        name: request.name,
        enabled: request.enabled,
        permissions: request.permissions,
        expires_at: None,
    };
    call.write(move |tx, caller, _| update::update(tx, caller, &request.key_id, &changes)).await?;
    Ok(Reply::new(Empty {}))
}
