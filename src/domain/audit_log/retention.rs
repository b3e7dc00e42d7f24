//! How long the audit log is kept: what is older goes once a day, and what is left can still be verified.

use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::id::WorkspaceId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::usage::kept_from;
use crate::store;
use crate::store::database::Db;
use chrono::TimeDelta;

/// Rows that are dropped in one transaction at most.
const MOST: i64 = 5_000;
/// Pause after a failure.
const AFTER_A_FAILURE: TimeDelta = TimeDelta::minutes(1);

/// Drops what is older than it is to be kept.
#[derive(Debug)]
pub struct Retention {
    /// Days, today not counted; `None` is for ever.
    days: Option<u32>,
    /// What everything was dropped before, as far as it is known.
    done: Option<Timestamp>,
    /// When it is tried again after it has failed.
    again: Option<Timestamp>,
}

impl Retention {
    /// Nothing was dropped yet.
    #[must_use]
    pub fn new(days: Option<u32>) -> Self {
        Self { days, done: None, again: None }
    }

    /// Drops what is old, if a day has begun since that was done. What is old is decided by this node's clock or the
    /// database's, whichever is behind: a clock that runs ahead must not delete.
    ///
    /// # Errors
    /// Whatever the database says; it is tried again in a minute.
    pub async fn run_if_due(&mut self, db: &Db) -> Result<()> {
        let now = db.clock().now();
        let Some(days) = self.days.filter(|_| self.again.is_none_or(|again| again <= now)) else { return Ok(()) };
        if self.done == Some(kept_from(now, days)) {
            return Ok(());
        }
        self.again = now.checked_add_signed(AFTER_A_FAILURE);
        let database = db.ask(|tx| Ok(store::audit_chain::database_time(tx)?)).await?;
        let cutoff = kept_from(now.min(database), days);
        if self.done != Some(cutoff) {
            drop_before(db, cutoff, days).await?;
        }
        (self.done, self.again) = (Some(cutoff), None);
        Ok(())
    }
}

async fn drop_before(db: &Db, cutoff: Timestamp, days: u32) -> Result<()> {
    let mut after = String::new();
    while let Some(workspace) = next(db, after, cutoff).await? {
        while drop_some(db, workspace.clone(), cutoff, days).await? {}
        after = workspace.to_string();
    }
    Ok(())
}

async fn next(db: &Db, after: String, cutoff: Timestamp) -> Result<Option<WorkspaceId>> {
    db.ask(move |tx| Ok(store::audit_chain::next_with_older(tx, &after, cutoff)?)).await
}

/// Whether there may be more.
async fn drop_some(db: &Db, workspace: WorkspaceId, cutoff: Timestamp, days: u32) -> Result<bool> {
    let origin = Origin::local(Actor::System);
    db.write(origin, move |tx| store::audit_chain::prune(tx, &workspace, cutoff, days, MOST)).await
}
