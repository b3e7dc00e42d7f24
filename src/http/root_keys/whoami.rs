//! `rootKeys.whoami`.

use crate::domain::root_keys::read;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::root_keys::ms;
use crate::model::error::Result;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use serde::Deserialize;
use serde::Serialize;

/// Request of `rootKeys.whoami`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct WhoamiRequest {}

/// Answer of `rootKeys.whoami`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhoamiResponse {
    key_id: RootKeyId,
    workspace_id: WorkspaceId,
    name: Option<String>,
    enabled: bool,
    expires: Option<i64>,
    permissions: Vec<String>,
}

/// `rootKeys.whoami`.
///
/// # Errors
/// As [`read::whoami`].
pub async fn whoami(call: Call, _: WhoamiRequest) -> Result<Reply<WhoamiResponse>> {
    let root_key = call.read(|tx, caller, _| read::whoami(tx, caller)).await?;
    Ok(Reply::new(WhoamiResponse {
        key_id: root_key.id,
        workspace_id: root_key.workspace_id,
        name: root_key.name,
        enabled: root_key.enabled,
        expires: root_key.expires_at.map(ms),
        permissions: root_key.permissions,
    }))
}
