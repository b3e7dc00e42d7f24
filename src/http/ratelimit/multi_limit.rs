//! `ratelimit.multiLimit`.

use crate::domain::ratelimit::limit::Asked;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::ratelimit::LimitRequest;
use crate::http::ratelimit::answers;
use crate::model::error::Result;
use crate::model::id::OverrideId;
use serde::Serialize;
use std::sync::Arc;

/// Answer of `ratelimit.multiLimit`.
#[derive(Debug, Serialize)]
pub struct MultiLimitResponse {
    passed: bool,
    limits: Vec<OneLimitResponse>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OneLimitResponse {
    namespace: String,
    identifier: String,
    passed: bool,
    limit: u64,
    remaining: u64,
    reset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    override_id: Option<OverrideId>,
}

/// `ratelimit.multiLimit`.
///
/// # Errors
/// As [`decide`](crate::domain::ratelimit::limit::decide).
pub async fn multi_limit(call: Call, request: Vec<LimitRequest>) -> Result<Reply<MultiLimitResponse>> {
    let asked: Arc<[Asked]> = request.into_iter().map(Asked::from).collect();
    let answers = answers(&call, &asked).await?;
    let limits = asked.iter().zip(answers.each).map(|(asked, answered)| OneLimitResponse {
        namespace: asked.namespace.clone(),
        identifier: asked.identifier.clone(),
        passed: answered.passed,
        limit: answered.limit,
        remaining: answered.remaining,
        reset: answered.reset_ms,
        override_id: answered.override_id,
    });
    Ok(Reply::new(MultiLimitResponse { passed: answers.passed, limits: limits.collect() }).routine(answers.passed))
}
