//! Verifying the audit log: every hash computed again, every place looked at, and anchors compared that were kept elsewhere.

use crate::model::audit::row::ChainHash;
use crate::model::audit::row::SealedRow;
use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::WorkspaceId;
use crate::model::workspace::Workspace;
use crate::store;
use crate::store::audit_chain::Head;
use crate::store::audit_log::Stored;
use crate::store::tx::Tx;
use serde::Deserialize;
use serde::Serialize;

/// Rows that are in memory at once.
const PAGE: i64 = 500;

/// What a chain was at some moment, kept where nobody who can write to the database can write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Place of the last sealed row.
    pub sequence: i64,
    /// Its hash.
    pub hash: ChainHash,
    /// When the anchor was taken, milliseconds since 1970.
    pub time: i64,
}

/// What is known of the log of one workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Whether nothing was found that should not be.
    pub intact: bool,
    /// Rows that were verified, one after the other from the first.
    pub rows: i64,
    /// Rows that wait to be sealed.
    pub unsealed: i64,
    /// Anchors that the chain still runs through.
    pub anchors: usize,
    /// The last row that retention has dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
    /// The first place that is not as it was sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
}

/// Where a chain begins that retention has shortened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Place of the last dropped row.
    pub sequence: i64,
    /// When it was dropped, milliseconds since 1970.
    pub time: i64,
}

/// A place that is not as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// Its number in the chain.
    pub sequence: i64,
    /// The id of the row that stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is wrong.
    pub reason: String,
}

/// The end of a workspace's chain; `None` if nothing of it was sealed yet.
///
/// # Errors
/// Only the database's.
pub fn anchor(tx: &mut Tx<'_>, workspace: &WorkspaceId) -> Result<Option<Anchor>> {
    let time = tx.now().timestamp_millis();
    let head = store::audit_chain::head(tx, workspace)?;
    Ok(head.map(|Head { sequence, hash }| Anchor { workspace: workspace.clone(), sequence, hash, time }))
}

/// Verifies the log of one workspace, a page at a time. Of the anchors only those of the workspace count.
///
/// # Errors
/// Only the database's: what is broken is in the report.
pub fn verify(tx: &mut Tx<'_>, workspace: &Workspace, anchors: &[Anchor]) -> Result<Report> {
    let mut report = Report {
        workspace: workspace.id.clone(),
        name: workspace.name.clone(),
        intact: false,
        rows: 0,
        unsealed: store::audit_chain::unsealed(tx, &workspace.id)?,
        anchors: 0,
        dropped: None,
        broken: None,
    };
    let mut anchors: Vec<_> = anchors.iter().filter(|anchor| anchor.workspace == workspace.id).collect();
    anchors.sort_by_key(|anchor| anchor.sequence);
    match walk(tx, &workspace.id, &anchors, &mut report) {
        Ok(()) => report.intact = true,
        Err(Stop::Broken(broken)) => report.broken = Some(broken),
        Err(Stop::Failed(error)) => return Err(error),
    }
    Ok(report)
}

/// Why a walk ended early.
enum Stop {
    Broken(Broken),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn broken(sequence: i64, id: Option<String>, reason: impl Into<String>) -> Stop {
    Stop::Broken(Broken { sequence, id, reason: reason.into() })
}

fn walk(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    anchors: &[&Anchor],
    report: &mut Report,
) -> std::result::Result<(), Stop> {
    let stored_head = store::audit_chain::head(tx, workspace)?;
    let mut rows = store::audit_chain::page(tx, workspace, 0, PAGE)?;
    let mut head = start(tx, workspace, rows.first(), report)?;
    check_anchors(anchors, None, &head, report)?;
    while let Some(last) = rows.last().map(Stored::sequence) {
        for stored in rows {
            let next = follow(&head, stored)?;
            check_anchors(anchors, Some(&head), &next, report)?;
            head = next;
            report.rows = report.rows.saturating_add(1);
        }
        rows = store::audit_chain::page(tx, workspace, last, PAGE)?;
    }
    let after = head.sequence.saturating_add(1);
    if let Some(anchor) = anchors.iter().find(|anchor| anchor.sequence > head.sequence) {
        let reason = format!("the rows from here to {} are gone: an anchor has seen them", anchor.sequence);
        return Err(broken(after, None, reason));
    }
    if store::audit_chain::sealed(tx, workspace)? != report.rows {
        return Err(broken(head.sequence, None, "there are sealed rows beside the chain"));
    }
    match stored_head {
        Some(stored) if stored == head => Ok(()),
        None if head.sequence == 0 => Ok(()),
        Some(stored) if stored.sequence > head.sequence => {
            Err(broken(after, None, format!("the rows from here to {} are gone", stored.sequence)))
        }
        Some(_) | None => Err(broken(head.sequence, None, "this is not the row that was sealed last")),
    }
}

/// What the first row that is there must follow.
fn start(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    first: Option<&Stored>,
    report: &mut Report,
) -> std::result::Result<Head, Stop> {
    let dropped = first.map_or(0, Stored::sequence).saturating_sub(1);
    if dropped <= 0 {
        return Ok(Head { sequence: 0, hash: ChainHash::START });
    }
    let Some(checkpoint) = store::audit_chain::checkpoint(tx, workspace, dropped)? else {
        return Err(broken(1, None, format!("the rows from here to {dropped} are gone, and no checkpoint says why")));
    };
    report.dropped = Some(Dropped { sequence: dropped, time: checkpoint.at.timestamp_millis() });
    Ok(checkpoint.dropped)
}

/// The place of a row, if it follows the one before.
fn follow(head: &Head, stored: Stored) -> std::result::Result<Head, Stop> {
    let (sequence, id) = (stored.sequence(), stored.id().to_string());
    let expected = head.sequence.saturating_add(1);
    if sequence != expected {
        let last = sequence.saturating_sub(1);
        let reason = if last > expected {
            format!("the rows from here to {last} are gone")
        } else {
            "the row is gone".to_owned()
        };
        return Err(broken(expected, None, reason));
    }
    let Some(SealedRow { row, hash, .. }) = stored.sealed() else {
        return Err(broken(sequence, Some(id), "the row is none that Keyward writes"));
    };
    if row.hash(sequence, &head.hash).map_err(Error::unexpected)? != hash {
        let reason = format!(
            "the row ({}, {}) does not have the hash that it was sealed with: it was changed, or what stood before it",
            row.event,
            time(row.at)
        );
        return Err(broken(sequence, Some(id), reason));
    }
    Ok(Head { sequence, hash })
}

/// Compares the anchors that belong to this place, or, where the chain begins, to one before it.
fn check_anchors(
    anchors: &[&Anchor],
    before: Option<&Head>,
    here: &Head,
    report: &mut Report,
) -> std::result::Result<(), Stop> {
    if before.is_none()
        && let Some(old) = anchors.iter().find(|anchor| anchor.sequence < here.sequence)
    {
        let reason = format!(
            "an anchor of this place is older than what is kept ({} was dropped last): it proves nothing, take a newer one",
            here.sequence
        );
        return Err(broken(old.sequence, None, reason));
    }
    let first = anchors.partition_point(|anchor| anchor.sequence < here.sequence);
    for anchor in anchors.iter().skip(first).take_while(|anchor| anchor.sequence == here.sequence) {
        if anchor.hash != here.hash {
            let taken = Timestamp::from_timestamp_millis(anchor.time).map(time).unwrap_or_default();
            let reason = format!("another row stood here when the anchor was taken ({taken})");
            return Err(broken(here.sequence, None, reason));
        }
        report.anchors = report.anchors.saturating_add(1);
    }
    Ok(())
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
