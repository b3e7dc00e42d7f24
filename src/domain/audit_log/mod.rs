//! The audit log: sealed a moment after it was written, read by its workspace, verified by the operator (docs/audit.md).

pub mod retention;
pub mod verify;

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::model::audit::row::ChainHash;
use crate::model::audit::row::SealedRow;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::WorkspaceId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::store;
use crate::store::audit_chain::Sealed;
use crate::store::audit_chain::Waiting;
use crate::store::audit_log::Filter;
use crate::store::audit_log::Stored;
use crate::store::database::Db;
use crate::store::tx::Tx;
use std::collections::BTreeMap;

/// Rows that are sealed in one transaction at most.
const BATCH: i64 = 500;
/// Batches between two looks at what waits.
const BATCHES: u32 = 20;

/// Seals what waits, if nobody else is at it; says what still waits.
///
/// # Errors
/// Whatever the database says.
pub async fn seal(db: &Db) -> Result<Waiting> {
    let waiting = db.ask(|tx| Ok(store::audit_chain::waiting(tx)?)).await?;
    if waiting.rows == 0 {
        return Ok(waiting);
    }
    for _ in 0..BATCHES {
        let origin = Origin::local(Actor::System);
        let Sealed { looked_at, unreadable } = db.write(origin, |tx| store::audit_chain::seal(tx, BATCH)).await?;
        if !unreadable.is_empty() {
            tracing::error!(?unreadable, "the audit log has rows that this version did not write: its chain waits");
        }
        if !unreadable.is_empty() || i64::try_from(looked_at).is_ok_and(|looked_at| looked_at < BATCH) {
            break;
        }
    }
    db.ask(|tx| Ok(store::audit_chain::waiting(tx)?)).await
}

/// A sealed row, with what its hash was made from.
#[derive(Clone, Debug)]
pub struct Link {
    /// The row.
    pub sealed: SealedRow,
    /// The hash of the row before; `None` if that row is not there, which only a broken chain explains.
    pub previous: Option<ChainHash>,
}

/// `auditLogs.listEvents`: a page of the caller's workspace in the order of the chain. Only sealed rows are listed.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(tx: &mut Tx<'_>, caller: &Caller, filter: &Filter, request: &PageRequest) -> Result<Page<Link>> {
    let permit = caller.permit(On::Any)?;
    let workspace = permit.workspace();
    let rows = store::audit_log::list(tx, workspace, filter, request.fetch())?;
    let rows: Option<Vec<_>> = rows.into_iter().map(Stored::sealed).collect();
    let rows = rows.ok_or_else(|| Error::unexpected("the audit log has a row that this version did not write"))?;
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let next = rows.get(limit).map(|row| row.sequence.to_string());
    let before: Vec<_> = rows.iter().map(|row| row.sequence.saturating_sub(1)).collect();
    let hashes = previous_hashes(tx, workspace, &before)?;
    let links = rows
        .into_iter()
        .take(limit)
        .map(|sealed| Link { previous: hashes.get(&sealed.sequence.saturating_sub(1)).copied(), sealed });
    Ok(Page { rows: links.collect(), next })
}

/// Hashes by place: of rows that are there, of what stands before the first one, and of the last one that was dropped.
fn previous_hashes(tx: &mut Tx<'_>, workspace: &WorkspaceId, places: &[i64]) -> Result<BTreeMap<i64, ChainHash>> {
    let stored = store::audit_log::hashes(tx, workspace, places)?;
    let mut hashes: BTreeMap<_, _> = stored
        .into_iter()
        .filter_map(|(sequence, hash)| Some((sequence, ChainHash::from_bytes(&hash)?)))
        .chain([(0, ChainHash::START)])
        .collect();
    if let Some(missing) = places.iter().copied().find(|place| !hashes.contains_key(place))
        && let Some(checkpoint) = store::audit_chain::checkpoint(tx, workspace, missing)?
    {
        hashes.insert(missing, checkpoint.dropped.hash);
    }
    Ok(hashes)
}
