//! `decisions.*` on the wire.

mod explain;
mod list_decisions;
mod simulate;

pub use explain::ExplainResponse;
pub use explain::explain;
pub use list_decisions::list_decisions;
pub use simulate::Asker;
pub use simulate::SimulateRequest;
pub use simulate::answer;
pub use simulate::simulate;

use crate::model::decision::CallingKey;
use crate::model::decision::Decision;
use crate::model::decision::Description;
use crate::model::id::RequestId;
use serde::Serialize;

/// A record. What it says is written down in the words of the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionResponse {
    request_id: RequestId,
    time: i64,
    last_time: i64,
    count: i64,
    operation: String,
    #[serde(flatten)]
    description: Description,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<CallingKey>,
    ignored: Vec<String>,
}

impl From<Decision> for DecisionResponse {
    fn from(decision: Decision) -> Self {
        let Decision { request_id, time, last_time, count, operation, description, caller, ignored, .. } = decision;
        Self { request_id, time, last_time, count, operation, description, caller, ignored }
    }
}
