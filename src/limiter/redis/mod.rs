//! Counters in one Redis for all nodes: one script a call, so that all of its limits are taken or none.
#![deny(clippy::arithmetic_side_effects)]

mod connection;

pub use connection::Answering;
pub use connection::check;
pub use connection::probe;

use crate::config::Malformed;
use crate::limiter::Counter;
use crate::limiter::Decision;
use crate::limiter::Take;
use crate::limiter::Taken;
use crate::limiter::Unavailable;
use crate::limiter::redis::connection::Connection;
use crate::limiter::window::MAX_TOKENS;
use crate::limiter::window::Moment;
use crate::limiter::window::Reading;
use crate::limiter::window::Window;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::Script;
use redis::ScriptInvocation;
use std::time::Duration;

/// How long a counter outlives what it counts, so that a node whose clock lags by less does not miss it.
const SLACK_MS: u64 = 10_000;

/// Redis as a limiter. It works on the arithmetic of [`Window`] in a script, with the clock of the node that asks.
#[derive(Debug)]
pub struct Redis {
    connection: Connection,
    take: Script,
    give_back: Script,
}

impl Redis {
    /// Begins to connect, and to connect again for as long as the value lives. Does not wait for Redis. Each call is bounded
    /// by `timeout`.
    ///
    /// # Errors
    /// The connection string is malformed.
    pub fn open(url: &str, timeout: Duration) -> Result<Self, Malformed> {
        Ok(Self {
            connection: Connection::open(url, timeout)?,
            take: Script::new(include_str!("take.lua")),
            give_back: Script::new(include_str!("give_back.lua")),
        })
    }

    /// Takes all of these or none.
    ///
    /// # Errors
    /// Redis does not answer in time, or not as it should. It may have taken the tokens all the same.
    pub async fn take(&self, now_ms: u64, takes: &[Take]) -> Result<Decision, Unavailable> {
        if takes.is_empty() {
            return Ok(Decision { passed: true, each: Vec::new() });
        }
        let mut call = self.take.prepare_invoke();
        call.arg(now_ms.min(MAX_TOKENS)).arg(SLACK_MS);
        for take in takes {
            let moment = Moment::of(now_ms, take.duration_ms);
            call.key(name(&take.counter)).arg(moment.sequence).arg(moment.left_ms).arg(moment.duration_ms);
            // A cost above every limit is one more than the greatest limit: exact in the script, and refused.
            call.arg(take.limit.min(MAX_TOKENS)).arg(take.cost.min(MAX_TOKENS.saturating_add(1)));
        }
        decision(takes, &self.ask(&call).await?)
            .ok_or_else(|| Unavailable("Redis answered something else than the script does".into()))
    }

    /// Gives back what was taken at `taken_ms`.
    pub async fn give_back(&self, taken_ms: u64, takes: &[Take]) {
        let mut call = self.give_back.prepare_invoke();
        let costly: Vec<_> = takes.iter().filter(|take| take.cost > 0).collect();
        for take in &costly {
            let moment = Moment::of(taken_ms, take.duration_ms);
            call.key(name(&take.counter)).arg(moment.sequence).arg(take.cost.min(MAX_TOKENS));
        }
        if !costly.is_empty()
            && let Err(Unavailable(error)) = self.ask(&call).await
        {
            tracing::warn!(%error, "tokens of rate limits were not given back");
        }
    }

    /// Calls that Redis did not answer as it should, ever.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.connection.errors()
    }

    /// Why Redis cannot be asked right now, if it cannot.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        self.connection.away()
    }

    async fn ask(&self, call: &ScriptInvocation<'_>) -> Result<Vec<u64>, Unavailable> {
        let asked = self.connection.ask(async |connection| call.invoke_async(connection).await);
        asked.await.map_err(|error| Unavailable(error.into()))
    }
}

/// The name of a counter in Redis. What stands in braces decides the slot: the counters of a workspace share one.
fn name(counter: &Counter) -> String {
    let (workspace, rest) = counter.parts();
    format!("keyward:{{{}}}:{}", URL_SAFE_NO_PAD.encode(workspace), URL_SAFE_NO_PAD.encode(rest))
}

fn decision(takes: &[Take], reply: &[u64]) -> Option<Decision> {
    let (passed, readings) = reply.split_first()?;
    let each: Vec<_> = takes
        .iter()
        .zip(readings.as_chunks().0)
        .map(|(take, [sequence, current, weighed])| {
            let window = Window { sequence: *sequence, current: *current, previous: 0 };
            Taken::new(&Reading::new(window, *weighed, take.duration_ms), take.limit, take.cost)
        })
        .collect();
    (each.len() == takes.len()).then_some(Decision { passed: *passed == 1, each })
}
