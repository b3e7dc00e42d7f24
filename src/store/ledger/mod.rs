//! The ledger: spends of credits by group commit, durable before they are answered.
//!
//! One thread with one connection of its own takes everything that queued while its last statement ran, and commits it by
//! one statement. There is no timer: an idle ledger commits a single spend at once, a busy one commits many together. A
//! thread to which the database is silent for ever is relieved by another one; what it had sent is not sent again.
#![deny(clippy::arithmetic_side_effects)]

mod batch;
mod queue;
mod session;
mod statement;
mod writer;

use crate::metrics::LedgerMetrics;
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::store::shift::Shift;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Most credits that one spend may cost; the contract's bound. The sum of a whole batch stays far below 2^63.
pub const MAX_COST: i64 = 1_000_000_000_000;

/// What became of a spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// The key is unlimited.
    Unlimited,
    /// It was made; so much is left.
    Left(i64),
    /// The balance, which this is, does not suffice. Nothing was taken.
    Refused(i64),
}

/// Why a spend has no answer.
#[derive(Clone, Debug)]
struct Fault {
    /// Whether it is certain that nothing was taken.
    certain: bool,
    /// For the log.
    reason: String,
}

/// Spends credits.
pub struct Ledger {
    queue: queue::Sender,
    shift: Shift,
    deadline: Duration,
}

impl Ledger {
    /// Opens the ledger of a database: starts its thread, which connects when the first spend comes. `deadline` bounds the
    /// stay of one spend.
    ///
    /// # Errors
    /// The system starts no thread.
    pub fn open(url: &str, deadline: Duration, clock: Clock, metrics: LedgerMetrics) -> std::io::Result<Self> {
        let (queue, asks) = queue::bounded(metrics.clone());
        let url = url.to_owned();
        let shift = Shift::start("ledger", deadline, move |pulse| {
            let session = session::Session::new(&url, deadline, Arc::clone(pulse));
            writer::Writer::new(session, clock.clone(), metrics.clone()).run(&asks);
        })?;
        Ok(Self { queue, shift, deadline })
    }

    /// Takes `cost` credits, 0 to [`MAX_COST`], from the balance of a key. Due refills come first. A caller that drops the
    /// future before the spend has begun has spent nothing.
    ///
    /// # Errors
    /// `service_unavailable`: at once if too many spends wait, else within the deadline. Its detail says so where the spend
    /// may have been made.
    pub async fn spend(&self, key: &KeyId, cost: i64) -> Result<Spent> {
        if !(0..=MAX_COST).contains(&cost) {
            return Err(Error::unexpected(format!("a spend of {cost} credits")));
        }
        self.shift.relieve_if_overdue();
        let (answer, answered) = oneshot::channel();
        let ask = batch::Ask { key: key.clone(), cost, answer };
        self.queue.send(ask).map_err(|refused| unspent(refused.reason()))?;
        match timeout(self.deadline, answered).await {
            Ok(Ok(Ok(spent))) => Ok(spent),
            Ok(Ok(Err(fault))) if fault.certain => Err(unspent(fault.reason)),
            Ok(Ok(Err(fault))) => Err(Error::unavailable(fault.reason).unsure()),
            // The thread ended without having taken the spend up: it answers whatever it takes up.
            Ok(Err(_closed)) => Err(unspent("the ledger has stopped")),
            Err(elapsed) => {
                self.shift.relieve_if_overdue();
                Err(Error::unavailable(elapsed).unsure())
            }
        }
    }

    /// Takes no further spends, commits those that wait, and ends the thread. Waits for that within the bound.
    pub async fn stop(&self, at_most: Duration) {
        self.queue.stop();
        if timeout(at_most, self.shift.end()).await.is_err() {
            tracing::warn!("the ledger did not end in time: its database does not answer");
        }
    }

    /// How many threads were relieved since the database was silent to them, and hang.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.shift.hanging()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// A 503 after which it is certain that nothing was taken.
fn unspent(reason: impl Into<String>) -> Error {
    let detail = "Keyward cannot spend credits of this key right now. None were spent. Try again shortly.";
    let mut error = Error::new(Code::ServiceUnavailable, detail).caused_by(reason.into());
    error.retry_after_s = Some(1);
    error
}
