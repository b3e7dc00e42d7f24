//! `rootKeys.*` on the wire.

mod create;
mod delete;
mod get;
mod list;
mod reroll;
mod update;
mod whoami;

pub use create::create_key;
pub use delete::delete_key;
pub use get::get_key;
pub use list::list_keys;
pub use reroll::reroll_key;
pub use update::update_key;
pub use whoami::whoami;

use crate::domain::root_keys::Minted;
use crate::model::clock::Timestamp;
use crate::model::id::RootKeyId;
use crate::model::root_key::RootKey;
use serde::Serialize;

/// A root key as answers show it. What it has not is `null`, and `lastUsedAt` 0 is never, as Unkey's SDK reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootKeyResponse {
    key_id: RootKeyId,
    name: Option<String>,
    start: String,
    end: String,
    enabled: bool,
    created_at: i64,
    last_used_at: i64,
    expires: Option<i64>,
    permissions: Vec<String>,
}

impl From<RootKey> for RootKeyResponse {
    fn from(root_key: RootKey) -> Self {
        Self {
            key_id: root_key.id,
            name: root_key.name,
            start: root_key.start,
            end: root_key.last_characters,
            enabled: root_key.enabled,
            created_at: ms(root_key.created_at),
            last_used_at: root_key.last_used_at.map_or(0, ms),
            expires: root_key.expires_at.map(ms),
            permissions: root_key.permissions,
        }
    }
}

/// A new root key, with the plaintext that is shown this once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MintedResponse {
    key_id: RootKeyId,
    key: String,
}

impl From<Minted> for MintedResponse {
    fn from((key_id, plaintext): Minted) -> Self {
        Self { key_id, key: plaintext.reveal().to_owned() }
    }
}

fn ms(at: Timestamp) -> i64 {
    at.timestamp_millis()
}
