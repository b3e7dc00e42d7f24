//! `identities.*` on the wire.

mod create;
mod delete;
mod get;
mod list;
mod set_permissions;
mod set_roles;
mod update;

pub use create::create_identity;
pub use delete::delete_identity;
pub use get::get_identity;
pub use list::list_identities;
pub use set_permissions::set_permissions;
pub use set_roles::set_roles;
pub use update::update_identity;

use crate::http::rate_limits::RateLimitResponse;
use crate::model::id::IdentityId;
use crate::model::identity::FullIdentity;
use crate::model::meta::Meta;
use serde::Serialize;
use std::collections::BTreeSet;

/// An identity as answers show it. What is empty is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityResponse {
    id: IdentityId,
    external_id: String,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    permissions: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    roles: BTreeSet<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratelimits: Vec<RateLimitResponse>,
}

impl From<FullIdentity> for IdentityResponse {
    fn from(FullIdentity { identity, holdings, limits }: FullIdentity) -> Self {
        Self {
            id: identity.id,
            external_id: identity.external_id,
            enabled: identity.enabled,
            meta: identity.meta.filter(|meta| !meta.is_empty()),
            permissions: holdings.permissions,
            roles: holdings.roles,
            ratelimits: limits.0.iter().map(RateLimitResponse::from).collect(),
        }
    }
}
