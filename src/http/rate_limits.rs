//! Rate limits of keys and identities on the wire (keys.md section 4).

use crate::model::id::RateLimitId;
use crate::model::rate_limit::Defined;
use crate::model::rate_limit::RateLimit;
use serde::Deserialize;
use serde::Serialize;

/// A limit as requests define it. Unknown fields are tolerated.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitRequest {
    name: String,
    limit: i64,
    duration: i64,
    /// Left out it is false (decisions.md #23).
    #[serde(default)]
    auto_apply: bool,
}

impl From<RateLimitRequest> for Defined {
    fn from(request: RateLimitRequest) -> Self {
        Self { name: request.name, limit: request.limit, duration_ms: request.duration, auto_apply: request.auto_apply }
    }
}

/// A limit as answers show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitResponse {
    id: RateLimitId,
    name: String,
    limit: i64,
    duration: i64,
    auto_apply: bool,
}

impl From<&RateLimit> for RateLimitResponse {
    fn from(limit: &RateLimit) -> Self {
        Self {
            id: limit.id.clone(),
            name: limit.name.clone(),
            limit: limit.limit,
            duration: limit.duration_ms,
            auto_apply: limit.auto_apply,
        }
    }
}
