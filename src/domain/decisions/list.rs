//! `decisions.listDecisions` (decisions.md "Additions").

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::domain::decisions::explain;
use crate::model::decision::Decision;
use crate::model::error::Result;
use crate::model::id::RequestId;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::store;
use crate::store::decisions::Filter;
use crate::store::decisions::Place;
use crate::store::tx::Tx;
use chrono::DateTime;

/// A page of the workspace's records, newest first.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(tx: &mut Tx<'_>, caller: &Caller, filter: &Filter, request: &PageRequest) -> Result<Page<Decision>> {
    let permit = caller.permit(On::Any)?;
    let begin = request.cursor.as_deref().and_then(place);
    let mut rows = store::decisions::page(tx, permit.workspace(), filter, begin.as_ref(), request.fetch())?;
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let next = rows.get(limit).map(|row| format!("{}-{}", row.time, row.request_id));
    rows.truncate(limit);
    let rows = rows.into_iter().map(|row| explain::readable(row, caller)).collect();
    Ok(Page { rows, next })
}

/// A cursor: the moment and the first request of the page's first record.
fn place(cursor: &str) -> Option<Place> {
    let (ms, request) = cursor.split_once('-')?;
    RequestId::has_form(request).then_some(())?;
    Some((DateTime::from_timestamp_millis(ms.parse().ok()?)?, request.to_owned()))
}
