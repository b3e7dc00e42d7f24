//! Counters of the limiter in memory outlive the process: loaded before it decides, written every second, in order at the end.

use crate::limiter::memory::Memory;
use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::store::counters;
use crate::store::database::Db;
use crate::store::tx::MAX_ROWS;
use chrono::Duration;

/// Counters that are loaded at once.
const PAGE: i64 = 5000;
/// Batches of worthless counters that are deleted in a row at most, so that a great heap of them is not deleted at once.
const BATCHES: usize = 20;
/// How long a worthless counter is kept, for nodes whose clock lags.
const LAG: Duration = Duration::seconds(60);

/// Loads all counters that still count, then opens the limiter.
///
/// # Errors
/// Whatever the database says. The limiter stays closed; loading again does no harm.
pub async fn load(memory: &Memory, db: &Db) -> Result<usize> {
    let (mut last, mut loaded) = (None, 0);
    loop {
        let page = db.ask(move |tx| Ok(counters::after(tx, last, PAGE)?)).await?;
        memory.restore(&page);
        loaded += page.len();
        last = page.last().map(|stored| stored.counter);
        if last.is_none() {
            memory.opened();
            return Ok(loaded);
        }
    }
}

/// Writes all counters that have changed since the last time.
///
/// # Errors
/// Whatever the database says. What could not be written is written the next time.
pub async fn flush(memory: &Memory, db: &Db) -> Result<()> {
    let changed = memory.take_changed(milliseconds(db.clock().now()));
    for (number, batch) in changed.chunks(MAX_ROWS).enumerate() {
        let rows = batch.to_vec();
        let written = db.write(Origin::local(Actor::System), move |tx| Ok(counters::save(tx, &rows).map(drop)?)).await;
        if let Err(error) = written {
            memory.put_back(changed.get(number * MAX_ROWS..).unwrap_or_default());
            return Err(error);
        }
    }
    Ok(())
}

/// Deletes counters of which nothing counts any more.
///
/// # Errors
/// Whatever the database says.
pub async fn delete_worthless(db: &Db) -> Result<()> {
    let until = db.clock().now() - LAG;
    let most = i64::try_from(MAX_ROWS).unwrap_or(i64::MAX);
    for _ in 0..BATCHES {
        let deleted =
            db.write(Origin::local(Actor::System), move |tx| Ok(counters::delete_worthless(tx, until, most)?)).await?;
        if deleted < MAX_ROWS {
            break;
        }
    }
    Ok(())
}

/// Unix milliseconds, 0 before 1970.
#[must_use]
pub fn milliseconds(at: Timestamp) -> u64 {
    u64::try_from(at.timestamp_millis()).unwrap_or(0)
}
