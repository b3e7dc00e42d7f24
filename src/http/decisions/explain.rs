//! `decisions.explain`.

use crate::domain::decisions::explain;
use crate::domain::decisions::explain::Explained;
use crate::domain::decisions::explain::Means;
use crate::http::call::Call;
use crate::http::call::Reply;
use crate::http::decisions::DecisionResponse;
use crate::model::decision::PastChange;
use crate::model::decision::Replayed;
use crate::model::error::Result;
use crate::model::id::RequestId;
use serde::Deserialize;
use serde::Serialize;

/// Request of `decisions.explain`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainRequest {
    request_id: RequestId,
}

/// Answer of `decisions.explain`.
#[derive(Debug, Serialize)]
pub struct ExplainResponse {
    #[serde(flatten)]
    decision: DecisionResponse,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Vec<PastChange>>,
    now: Replayed,
}

/// `decisions.explain`.
///
/// # Errors
/// As [`explain::explain`].
pub async fn explain(call: Call, request: ExplainRequest) -> Result<Reply<ExplainResponse>> {
    let app = &call.app;
    let means = Means { db: &app.db, denials: &app.denials, limiter: &app.limiter };
    let explained = explain::explain(means, &call.caller, &request.request_id).await?;
    Ok(Reply::new(ExplainResponse::from(explained)))
}

impl From<Explained> for ExplainResponse {
    fn from(Explained { decision, before, now }: Explained) -> Self {
        Self { decision: decision.into(), before, now }
    }
}
