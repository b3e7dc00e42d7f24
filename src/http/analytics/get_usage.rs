//! `analytics.getUsage`.

use crate::domain::usage;
use crate::domain::usage::GetUsage;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::usage::Bucket;
use crate::model::usage::Interval;
use crate::model::verdict::Outcome;
use crate::store::usage::Filter;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;

/// Buckets of a page when the request does not say.
const DEFAULT_LIMIT: u32 = 100;

/// Request of `analytics.getUsage`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetUsageRequest {
    api_id: Option<ApiId>,
    key_id: Option<KeyId>,
    external_id: Option<String>,
    outcome: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    from: i64,
    to: i64,
    interval: Option<IntervalRequest>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum IntervalRequest {
    Hour,
    Day,
    Month,
}

/// One bucket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BucketResponse {
    time: i64,
    total: i64,
    outcomes: BTreeMap<&'static str, i64>,
    credits_spent: i64,
}

/// `analytics.getUsage`.
///
/// # Errors
/// As [`usage::get`].
pub async fn get_usage(call: Call, request: GetUsageRequest) -> Result<Reply<Vec<BucketResponse>>> {
    let moment = |location: &str, ms: i64| {
        Timestamp::from_timestamp_millis(ms).ok_or_else(|| Error::invalid(location, "is no moment", None))
    };
    let range = [moment("body.from", request.from)?, moment("body.to", request.to)?];
    let outcome = request.outcome.as_deref();
    let asked = GetUsage {
        api: request.api_id,
        filter: Filter {
            apis: None,
            key: request.key_id,
            external_id: request.external_id,
            outcome: outcome.and_then(|code| Outcome::ALL.iter().copied().find(|outcome| outcome.code() == code)),
            tags: request.tags,
        },
        range,
        interval: request.interval.map_or(Interval::Day, Interval::from),
        limit: request.limit.unwrap_or(DEFAULT_LIMIT),
        cursor: request.cursor.and_then(|cursor| cursor.parse().ok()),
    };
    let page = call.read(|tx, caller, app| usage::get(tx, caller, app.settings.retention(), asked)).await?;
    Ok(Reply::page(page.map(BucketResponse::from)))
}

impl From<IntervalRequest> for Interval {
    fn from(interval: IntervalRequest) -> Self {
        match interval {
            IntervalRequest::Hour => Self::Hour,
            IntervalRequest::Day => Self::Day,
            IntervalRequest::Month => Self::Month,
        }
    }
}

impl From<Bucket> for BucketResponse {
    fn from(bucket: Bucket) -> Self {
        Self {
            time: bucket.start.timestamp_millis(),
            total: bucket.total(),
            outcomes: bucket.outcomes,
            credits_spent: bucket.credits_spent,
        }
    }
}
