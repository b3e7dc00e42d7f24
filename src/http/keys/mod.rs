//! `keys.*` on the wire.

mod create;
mod credits;
mod delete;
mod get;
mod migrate;
mod permissions;
mod reroll;
mod roles;
mod update;
mod update_credits;
mod verify;
mod whoami;

pub use create::create_key;
pub use credits::CreditsResponse;
pub use delete::delete_key;
pub use get::get_key;
pub use migrate::migrate_keys;
pub use permissions::add_permissions;
pub use permissions::remove_permissions;
pub use permissions::set_permissions;
pub use reroll::reroll_key;
pub use roles::add_roles;
pub use roles::remove_roles;
pub use roles::set_roles;
pub use update::update_key;
pub use update_credits::update_credits;
pub(in crate::http) use verify::CreditsRequest;
pub(in crate::http) use verify::LimitRequest;
pub use verify::verify_key;
pub use whoami::whoami;

use crate::domain::keys::create::Created;
use crate::domain::keys::read::Shown;
use crate::http::rate_limits::RateLimitResponse;
use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::identity::Identity;
use crate::model::key::FullKey;
use crate::model::meta::Meta;
use crate::model::rate_limit::RateLimit;
use chrono::DateTime;
use serde::Serialize;

/// A key as answers show it (keys.md section 4). What is empty is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyResponse {
    key_id: KeyId,
    start: String,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<CreditsResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<OwnerResponse>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratelimits: Vec<RateLimitResponse>,
}

/// The owner of a key as answers show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerResponse {
    id: IdentityId,
    external_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratelimits: Vec<RateLimitResponse>,
}

impl OwnerResponse {
    /// An owner with those of its limits that shall be shown.
    fn new<'a>(identity: Identity, limits: impl IntoIterator<Item = &'a RateLimit>) -> Self {
        Self {
            id: identity.id,
            external_id: identity.external_id,
            meta: shown_meta(identity.meta),
            ratelimits: limits.into_iter().map(RateLimitResponse::from).collect(),
        }
    }
}

impl From<Shown> for KeyResponse {
    fn from(shown: Shown) -> Self {
        let plaintext = shown.plaintext.map(|plaintext| plaintext.reveal().to_owned());
        Self { plaintext, ..Self::from(shown.key) }
    }
}

impl From<FullKey> for KeyResponse {
    fn from(full: FullKey) -> Self {
        let FullKey { key, identity, access, credits, limits, .. } = full;
        Self {
            permissions: access.slugs(),
            roles: access.roles.into_keys().collect(),
            credits: credits.as_ref().map(CreditsResponse::from),
            ratelimits: limits.key.iter().map(RateLimitResponse::from).collect(),
            identity: identity.map(|identity| OwnerResponse::new(identity, &limits.identity)),
            key_id: key.id,
            start: key.start,
            enabled: key.enabled,
            name: key.name,
            meta: shown_meta(key.meta),
            created_at: key.created_at.timestamp_millis(),
            updated_at: shown_time(key.updated_at),
            last_used_at: shown_time(key.last_used_at),
            expires: shown_time(key.expires_at),
            plaintext: None,
        }
    }
}

/// A new key, with the plaintext that is shown this once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedResponse {
    key_id: KeyId,
    key: String,
}

impl From<Created> for CreatedResponse {
    fn from(created: Created) -> Self {
        Self { key_id: created.id, key: created.plaintext.reveal().to_owned() }
    }
}

/// Empty metadata is stored and left out (common.md section 1).
fn shown_meta(meta: Option<Meta>) -> Option<Meta> {
    meta.filter(|meta| !meta.is_empty())
}

/// Unix milliseconds; 0 is left out (common.md section 1).
fn shown_time(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.timestamp_millis()).filter(|ms| *ms != 0)
}

/// The moment of a number of milliseconds.
///
/// # Errors
/// `invalid_input` for one beyond the calendar; the contract's bounds are narrower.
pub(in crate::http) fn moment(location: &str, ms: i64) -> Result<Timestamp> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| Error::invalid(location, "is no moment in time", None))
}
