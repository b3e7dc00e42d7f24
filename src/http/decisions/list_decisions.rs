//! `decisions.listDecisions`.

use crate::domain::decisions::list;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::decisions::DecisionResponse;
use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::page::PageRequest;
use crate::store::decisions::Filter;
use serde::Deserialize;

/// Request of `decisions.listDecisions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListDecisionsRequest {
    key_id: Option<String>,
    external_id: Option<String>,
    root_key_id: Option<String>,
    operation: Option<String>,
    code: Option<String>,
    from: Option<i64>,
    to: Option<i64>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// `decisions.listDecisions`.
///
/// # Errors
/// As [`list::list`].
pub async fn list_decisions(call: Call, request: ListDecisionsRequest) -> Result<Reply<Vec<DecisionResponse>>> {
    let filter = Filter {
        key_id: request.key_id,
        external_id: request.external_id,
        root_key_id: request.root_key_id,
        operation: request.operation,
        code: request.code,
        from: request.from.and_then(Timestamp::from_timestamp_millis),
        to: request.to.and_then(Timestamp::from_timestamp_millis),
    };
    let page = PageRequest::new(request.limit, request.cursor);
    let page = call.read(move |tx, caller, _| list::list(tx, caller, &filter, &page)).await?;
    Ok(Reply::page(page.map(DecisionResponse::from)))
}
