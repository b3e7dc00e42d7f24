//! `apis.*` on the wire.

mod create;
mod delete;
mod get;
mod list;
mod list_keys;
mod update;

pub use create::create_api;
pub use delete::delete_api;
pub use get::get_api;
pub use list::list_apis;
pub use list_keys::list_keys;
pub use update::update_api;

use crate::model::api::Api;
use crate::model::id::ApiId;
use serde::Serialize;

/// An API as answers show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiResponse {
    id: ApiId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_bytes: Option<i32>,
    recoverable: bool,
    delete_protection: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ip_whitelist: Vec<String>,
    created_at: i64,
}

impl From<Api> for ApiResponse {
    fn from(api: Api) -> Self {
        Self {
            id: api.id,
            name: api.name,
            default_prefix: api.default_prefix,
            default_bytes: api.default_bytes,
            recoverable: api.recoverable,
            delete_protection: api.delete_protection,
            ip_whitelist: api.ip_whitelist,
            created_at: api.created_at.timestamp_millis(),
        }
    }
}
