//! Denials on the command line, through the database: looked up, and foretold.

pub mod explain;
pub mod simulate;
mod story;

use crate::cli::database::Opened;
use crate::cli::output::Failure;
use crate::config::RedisSettings;
use crate::domain::counters;
use crate::limiter::Limiter;
use crate::limiter::memory::Memory;
use crate::limiter::redis::Redis;
use crate::model::error::Result as StoreResult;
use crate::store::database::Db;

/// Counters of rate limits that are read at most, where there is no Redis.
const COUNTERS: usize = 1_000_000;

/// Asks the database, and those who count rate limits, of which nothing is taken. Without Redis the counts are those that
/// the servers have written, a second old at most.
fn ask<T>(
    opened: &Opened,
    redis: &RedisSettings,
    question: impl AsyncFnOnce(&Db, &Limiter) -> StoreResult<T>,
) -> Result<T, Failure> {
    let url = redis.url()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let db = opened.db();
    runtime.block_on(async {
        let limiter = match url {
            Some(url) => Limiter::Redis(Redis::open(url.reveal(), redis.timeout())?),
            None => {
                let memory = Memory::closed(COUNTERS);
                counters::load(&memory, &db).await?;
                Limiter::Memory(memory)
            }
        };
        Ok(question(&db, &limiter).await?)
    })
}
