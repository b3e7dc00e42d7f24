//! `ratelimit.*` on the wire.

mod delete_namespace;
mod delete_override;
mod get_namespace;
mod get_override;
mod limit;
mod list_namespaces;
mod list_overrides;
mod multi_limit;
mod set_override;

pub use delete_namespace::delete_namespace;
pub use delete_override::delete_override;
pub use get_namespace::get_namespace;
pub use get_override::get_override;
pub use limit::limit;
pub use list_namespaces::list_namespaces;
pub use list_overrides::list_overrides;
pub use multi_limit::multi_limit;
pub use set_override::set_override;

use crate::domain::ratelimit::limit::Answers;
use crate::domain::ratelimit::limit::Asked;
use crate::domain::ratelimit::limit::Counting;
use crate::domain::ratelimit::limit::decide;
use crate::http::call::Call;
use crate::model::error::Result;
use crate::model::id::NamespaceId;
use crate::model::id::OverrideId;
use crate::model::rate_limit::Namespace;
use crate::model::rate_limit::OverrideRule;
use serde::Deserialize;
use serde::Serialize;
use std::sync::Arc;

/// Request of `ratelimit.limit`, and an item of that of `ratelimit.multiLimit`.
#[derive(Debug, Deserialize)]
pub struct LimitRequest {
    namespace: String,
    identifier: String,
    limit: u64,
    duration: u64,
    #[serde(default = "one")]
    cost: u64,
}

/// What a call takes that does not say.
const fn one() -> u64 {
    1
}

impl From<LimitRequest> for Asked {
    fn from(request: LimitRequest) -> Self {
        Self {
            namespace: request.namespace,
            identifier: request.identifier,
            limit: request.limit,
            duration_ms: request.duration,
            cost: request.cost,
        }
    }
}

async fn answers(call: &Call, asked: &Arc<[Asked]>) -> Result<Answers> {
    let app = &call.app;
    let counting = Counting {
        db: &app.db,
        limiter: &app.limiter,
        on_error: app.settings.ratelimit_on_error,
        metrics: &app.metrics,
    };
    decide(&counting, &call.caller, &call.origin, asked).await
}

/// A namespace as answers show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceResponse {
    id: NamespaceId,
    name: String,
    created_at: i64,
}

impl From<Namespace> for NamespaceResponse {
    fn from(namespace: Namespace) -> Self {
        Self { id: namespace.id, name: namespace.name, created_at: namespace.created_at.timestamp_millis() }
    }
}

/// An override as answers show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideResponse {
    override_id: OverrideId,
    identifier: String,
    limit: i64,
    duration: i64,
}

impl From<OverrideRule> for OverrideResponse {
    fn from(rule: OverrideRule) -> Self {
        Self { override_id: rule.id, identifier: rule.identifier, limit: rule.limit, duration: rule.duration_ms }
    }
}
