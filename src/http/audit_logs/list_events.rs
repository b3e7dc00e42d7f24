//! `auditLogs.listEvents`.

use crate::domain::audit_log;
use crate::domain::audit_log::Link;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::model::audit::FieldChange;
use crate::model::audit::row::ChainHash;
use crate::model::audit::row::RowActor;
use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::AuditId;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::store::audit_log::Filter;
use serde::Deserialize;
use serde::Serialize;

/// Request of `auditLogs.listEvents`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListEventsRequest {
    event: Option<String>,
    actor_id: Option<String>,
    resource_id: Option<String>,
    request_id: Option<String>,
    from: Option<i64>,
    to: Option<i64>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// One sealed row. Without its two hashes it is, in canonical form, what the hash was made from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventResponse {
    sequence: i64,
    id: AuditId,
    workspace_id: WorkspaceId,
    time: i64,
    event: String,
    actor: RowActor,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    request_id: RequestId,
    resources: Vec<Resource>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<FieldChange>,
    hash: ChainHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_hash: Option<ChainHash>,
}

/// `auditLogs.listEvents`.
///
/// # Errors
/// As [`audit_log::list`].
pub async fn list_events(call: Call, request: ListEventsRequest) -> Result<Reply<Vec<EventResponse>>> {
    let moment = |location: &str, ms: Option<i64>| {
        let at =
            |ms| Timestamp::from_timestamp_millis(ms).ok_or_else(|| Error::invalid(location, "is no moment", None));
        ms.map(at).transpose()
    };
    let filter = Filter {
        event: request.event,
        actor_id: request.actor_id,
        resource_id: request.resource_id,
        request_id: request.request_id,
        from: moment("body.from", request.from)?,
        to: moment("body.to", request.to)?,
        sequence: request.cursor.as_deref().and_then(|cursor| cursor.parse().ok()),
    };
    let page = PageRequest::new(request.limit, None);
    let page = call.read(move |tx, caller, _| audit_log::list(tx, caller, &filter, &page)).await?;
    Ok(Reply::page(page.map(EventResponse::from)))
}

impl From<Link> for EventResponse {
    fn from(Link { sealed, previous }: Link) -> Self {
        let row = sealed.row;
        Self {
            sequence: sealed.sequence,
            id: row.id,
            workspace_id: row.workspace,
            time: row.at.timestamp_millis(),
            event: row.event,
            actor: row.actor,
            description: row.description,
            address: row.address,
            user_agent: row.user_agent,
            request_id: row.request_id,
            resources: row.resources,
            changes: row.changes,
            hash: sealed.hash,
            previous_hash: previous,
        }
    }
}
