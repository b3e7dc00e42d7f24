//! `apis.updateApi`.

use crate::domain::apis;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::envelope::Empty;
use crate::http::patch;
use crate::model::api::ApiChanges;
use crate::model::error::Result;
use crate::model::id::ApiId;
use serde::Deserialize;

/// Request of `apis.updateApi`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateApiRequest {
    api_id: ApiId,
    name: Option<String>,
    #[serde(default, deserialize_with = "patch::field")]
    default_prefix: Option<Option<String>>,
    #[serde(default, deserialize_with = "patch::field")]
    default_bytes: Option<Option<i32>>,
    recoverable: Option<bool>,
    delete_protection: Option<bool>,
    ip_whitelist: Option<Vec<String>>,
}

/// `apis.updateApi`.
///
/// # Errors
/// As [`apis::update`].
pub async fn update_api(call: Call, request: UpdateApiRequest) -> Result<Reply<Empty>> {
    let changes = ApiChanges {
        name: request.name,
        default_prefix: request.default_prefix,
        default_bytes: request.default_bytes,
        recoverable: request.recoverable,
        delete_protection: request.delete_protection,
        ip_whitelist: request.ip_whitelist,
    };
    call.write(move |tx, caller, _| apis::update(tx, caller, &request.api_id, &changes)).await?;
    Ok(Reply::new(Empty {}))
}
