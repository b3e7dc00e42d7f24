//! The other servers on this database: whether rate limits are counted together with them (decisions.md #45).

use crate::model::error::Result;
use crate::model::id::NodeId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::store::database::Db;
use crate::store::nodes;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

/// Signs of life after which the dead are looked for: every hour or so.
const BURIAL_EVERY: u64 = 1800;

/// This server among the others.
#[derive(Debug)]
pub struct Nodes {
    id: NodeId,
    /// Where this server counts rate limits.
    limiter: &'static str,
    others: AtomicI64,
}

impl Nodes {
    /// A server that has not said yet that it lives.
    #[must_use]
    pub fn new(limiter: &'static str) -> Self {
        Self { id: NodeId::generate(), limiter, others: AtomicI64::new(0) }
    }

    /// Other servers that live, as far as is known.
    #[must_use]
    pub fn others(&self) -> i64 {
        self.others.load(Ordering::Relaxed)
    }

    /// Whether each of several servers counts rate limits for itself.
    #[must_use]
    pub fn are_uncoordinated(&self) -> bool {
        self.limiter == "memory" && self.others() > 0
    }

    /// Says that this server lives, for the `count`th time, and learns of the others.
    ///
    /// # Errors
    /// Whatever the database says; what was known of the others stays.
    pub async fn beat(&self, db: &Db, count: u64) -> Result<()> {
        let (id, limiter) = (self.id.clone(), self.limiter);
        let others = db
            .write(Origin::local(Actor::System), move |tx| {
                if count.is_multiple_of(BURIAL_EVERY) {
                    nodes::delete_dead(tx)?;
                }
                Ok(nodes::beat(tx, &id, env!("CARGO_PKG_VERSION"), limiter)?)
            })
            .await?;
        let before = self.are_uncoordinated();
        self.others.store(others, Ordering::Relaxed);
        match (before, self.are_uncoordinated()) {
            (false, true) => tracing::warn!(
                others,
                "other servers use this database and each counts rate limits for itself: set KEYWARD_REDIS_URL on all of them"
            ),
            (true, false) => tracing::info!("this server is alone on its database again: rate limits are exact"),
            (true, true) | (false, false) => (),
        }
        Ok(())
    }

    /// Says that this server has ended.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn leave(&self, db: &Db) -> Result<()> {
        let id = self.id.clone();
        db.write(Origin::local(Actor::System), move |tx| Ok(nodes::delete(tx, &id).map(drop)?)).await
    }
}
