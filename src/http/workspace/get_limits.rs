//! `workspace.getLimits`.

use crate::domain::workspaces;
use crate::domain::workspaces::Usage;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::error::Result;
use serde::Deserialize;
use serde::Serialize;

/// Request of `workspace.getLimits`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct GetLimitsRequest {}

/// One limit: `null` is unlimited.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct LimitResponse {
    limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<i64>,
}

/// Answer of `workspace.getLimits`: every limit that Unkey has, those that Keyward does not set as unlimited.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetLimitsResponse {
    api_requests_count_max_per_minute: LimitResponse,
    keys_max: LimitResponse,
    root_keys_max: LimitResponse,
    logs_retention_days_max: LimitResponse,
    logs_audit_retention_days_max: LimitResponse,
    api_billable_operations_count_max_per_month: LimitResponse,
    logdrains_max: LimitResponse,
}

/// `workspace.getLimits`.
///
/// # Errors
/// As [`workspaces::usage`].
pub async fn get_limits(call: Call, _: GetLimitsRequest) -> Result<Reply<GetLimitsResponse>> {
    let Usage { workspace, keys, root_keys } = call.read(|tx, caller, _| workspaces::usage(tx, caller)).await?;
    let audit = call.app.settings.audit_retention_days().map(i64::from);
    let requests = workspace.requests_per_minute.map(i64::from);
    Ok(Reply::new(GetLimitsResponse {
        api_requests_count_max_per_minute: LimitResponse { limit: requests, current: None },
        keys_max: LimitResponse { limit: workspace.keys_max, current: Some(keys) },
        root_keys_max: LimitResponse { limit: workspace.root_keys_max, current: Some(root_keys) },
        logs_audit_retention_days_max: LimitResponse { limit: audit, current: None },
        ..GetLimitsResponse::default()
    }))
}
