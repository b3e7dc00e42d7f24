//! `ratelimit.limit`.

use crate::domain::ratelimit::limit::Answered;
use crate::domain::ratelimit::limit::Asked;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::ratelimit::LimitRequest;
use crate::http::ratelimit::answers;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::OverrideId;
use serde::Serialize;
use std::sync::Arc;

/// Answer of `ratelimit.limit`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitResponse {
    success: bool,
    limit: u64,
    remaining: u64,
    reset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    override_id: Option<OverrideId>,
}

/// `ratelimit.limit`.
///
/// # Errors
/// As [`decide`](crate::domain::ratelimit::limit::decide).
pub async fn limit(call: Call, request: LimitRequest) -> Result<Reply<LimitResponse>> {
    let asked: Arc<[Asked]> = Arc::new([Asked::from(request)]);
    let answers = answers(&call, &asked).await?;
    let Some(Answered { passed, limit, remaining, reset_ms, override_id }) = answers.each.into_iter().next() else {
        return Err(Error::unexpected("a question without an answer"));
    };
    Ok(Reply::new(LimitResponse { success: passed, limit, remaining, reset: reset_ms, override_id }).routine(passed))
}
