//! Rate limits: the arithmetic, and where it counts. No Postgres, no HTTP.

pub mod edge;
pub mod memory;
pub mod pattern;
pub mod redis;
pub mod window;

use crate::limiter::memory::Memory;
use crate::limiter::redis::Redis;
use crate::limiter::window::Reading;
use crate::metrics::LimiterState;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::NamespaceId;
use crate::model::id::WorkspaceId;
use crate::model::rate_limit::Evaluated;
use ring::digest;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;

/// Bytes of a counter that name its workspace.
const WORKSPACE_BYTES: usize = 8;

/// Identity of one counter: a digest of what the contract makes it of. The limit itself is no part of it. The first eight
/// bytes are the same for all counters of a workspace, so that Redis can keep those of one call together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter([u8; 32]);

impl Counter {
    /// Of a limit of one key, or of one that a request brings along.
    #[must_use]
    pub fn of_key(workspace: &WorkspaceId, key: &KeyId, name: &str, duration_ms: u64) -> Self {
        Self::of(["key", workspace.as_str(), key.as_str(), name], duration_ms)
    }

    /// Of a limit of an identity, which all of its keys share.
    #[must_use]
    pub fn of_identity(workspace: &WorkspaceId, identity: &IdentityId, name: &str, duration_ms: u64) -> Self {
        Self::of(["identity", workspace.as_str(), identity.as_str(), name], duration_ms)
    }

    /// Of an identifier in a namespace.
    #[must_use]
    pub fn of_identifier(workspace: &WorkspaceId, namespace: &NamespaceId, identifier: &str, duration_ms: u64) -> Self {
        Self::of(["namespace", workspace.as_str(), namespace.as_str(), identifier], duration_ms)
    }

    /// One that was stored.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(parts: [&str; 4], duration_ms: u64) -> Self {
        let mut digest = digest::Context::new(&digest::SHA256);
        for part in parts {
            // Lengths in between: no two lists of parts run together to the same text.
            digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part.as_bytes());
        }
        digest.update(&duration_ms.to_be_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.finish().as_ref());
        let [_, workspace, ..] = parts;
        let workspace = digest::digest(&digest::SHA256, workspace.as_bytes());
        bytes
            .iter_mut()
            .zip(workspace.as_ref())
            .take(WORKSPACE_BYTES)
            .for_each(|(byte, of_workspace)| *byte = *of_workspace);
        Self(bytes)
    }

    /// What names the workspace, and what names the counter in it.
    fn parts(&self) -> (&[u8], &[u8]) {
        self.0.split_at(WORKSPACE_BYTES)
    }
}

impl Hash for Counter {
    /// The bytes are a digest already: eight of them tell counters apart as well as all do.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        state.write_u64(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().1.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Tokens that a call wants to take from one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// The counter.
    pub counter: Counter,
    /// Tokens per window; 0 refuses everything.
    pub limit: u64,
    /// Length of the window, milliseconds.
    pub duration_ms: u64,
    /// Tokens; 0 asks without taking.
    pub cost: u64,
}

/// A limit that counts in a call, before the limiter has spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The limit, as far as it is known.
    pub limit: Evaluated,
    /// What is to be taken.
    pub take: Take,
}

/// What one limit said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether it admits.
    pub passed: bool,
    /// Tokens left if the call as a whole is admitted; 0 if this limit refuses.
    pub remaining: u64,
    /// Tokens left if the call as a whole is refused, and nothing is taken; 0 if this limit refuses.
    pub untouched: u64,
    /// End of the current window, Unix milliseconds.
    pub reset_ms: u64,
}

impl Taken {
    fn new(reading: &Reading, limit: u64, cost: u64) -> Self {
        let passed = reading.admits(limit, cost);
        let untouched = if passed { limit.saturating_sub(reading.used) } else { 0 };
        Self { passed, untouched, remaining: untouched.saturating_sub(cost), reset_ms: reading.reset_ms }
    }
}

/// What all limits of a call said, in the order of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether all of them admit. If not, none has counted anything.
    pub passed: bool,
    /// Each limit's word. Takes of one counter add up in the order of the call.
    pub each: Vec<Taken>,
}

/// The limiter cannot decide: what it counts in is away, or full.
#[derive(Debug)]
pub struct Unavailable(pub Box<dyn std::error::Error + Send + Sync>);

/// Where tokens are counted.
#[derive(Debug)]
pub enum Limiter {
    /// In this process: exact for one node.
    Memory(Memory),
    /// In one Redis: exact for all nodes.
    Redis(Redis),
}

impl Limiter {
    /// Takes all of these or none.
    ///
    /// # Errors
    /// The limiter cannot decide; Redis may have taken the tokens all the same.
    pub async fn take(&self, now_ms: u64, takes: &[Take]) -> Result<Decision, Unavailable> {
        match self {
            Self::Memory(memory) => memory.take(now_ms, takes),
            Self::Redis(redis) => Box::pin(redis.take(now_ms, takes)).await,
        }
    }

    /// What [`Self::take`] would say now. Nothing is counted.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub async fn peek(&self, now_ms: u64, takes: &[Take]) -> Result<Decision, Unavailable> {
        let asking: Vec<_> = takes.iter().map(|take| Take { cost: 0, ..*take }).collect();
        Ok(foreseen(takes, self.take(now_ms, &asking).await?.each))
    }

    /// Gives back what a call has taken at `taken_ms`, the moment that it gave [`Self::take`], and that was then refused for
    /// another reason. As good as it can: tokens of a window that is gone are gone with it.
    pub async fn give_back(&self, taken_ms: u64, takes: &[Take]) {
        match self {
            Self::Memory(memory) => memory.give_back(taken_ms, takes),
            Self::Redis(redis) => Box::pin(redis.give_back(taken_ms, takes)).await,
        }
    }

    /// Where it counts: `memory` or `redis`.
    #[must_use]
    pub fn place(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Redis(_) => "redis",
        }
    }

    /// What it says of itself.
    #[must_use]
    pub fn state(&self) -> LimiterState {
        match self {
            Self::Memory(memory) => LimiterState {
                counters: u64::try_from(memory.len()).unwrap_or(u64::MAX),
                evicted: memory.evicted(),
                ..LimiterState::default()
            },
            Self::Redis(redis) => LimiterState { redis_errors: redis.errors(), ..LimiterState::default() },
        }
    }
}

/// The decision on takes whose counters were asked without taking.
fn foreseen(takes: &[Take], asked: Vec<Taken>) -> Decision {
    let mut each: Vec<Taken> = Vec::with_capacity(asked.len());
    for (index, (take, asked)) in takes.iter().zip(asked).enumerate() {
        // Takes of one counter add up in the order of the call, as far as they pass.
        let earlier =
            takes.iter().zip(&each).take(index).filter(|(other, taken)| other.counter == take.counter && taken.passed);
        let earlier = earlier.fold(0_u64, |sum, (other, _)| sum.saturating_add(other.cost));
        let left = asked.untouched.saturating_sub(earlier);
        let passed = asked.passed && earlier <= asked.untouched && take.cost <= left;
        let (untouched, remaining) = if passed { (left, left.saturating_sub(take.cost)) } else { (0, 0) };
        each.push(Taken { passed, untouched, remaining, reset_ms: asked.reset_ms });
    }
    Decision { passed: each.iter().all(|taken| taken.passed), each }
}

#[cfg(test)]
mod tests {
    use super::Counter;
    use super::Limiter;
    use super::Take;
    use super::memory::Memory;
    use proptest::prelude::*;

    fn takes() -> impl Strategy<Value = Vec<Take>> {
        let one = (0_u8..3, 0_u64..6, 0_u64..5).prop_map(|(counter, limit, cost)| Take {
            counter: Counter::from_bytes([counter; 32]),
            limit,
            duration_ms: 1000,
            cost,
        });
        prop::collection::vec(one, 0..5)
    }

    proptest! {
        /// Whoever looks first is told what the call itself is then told, and leaves nothing behind.
        #[test]
        fn a_look_foretells_the_call(calls in prop::collection::vec((takes(), 0_u64..700), 1..12)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let looked_at = Limiter::Memory(Memory::new(1000));
            let left_alone = Limiter::Memory(Memory::new(1000));
            let mut now = 1_000_000;
            for (takes, later) in calls {
                now += later;
                let foreseen = runtime.block_on(looked_at.peek(now, &takes)).unwrap();
                let again = runtime.block_on(looked_at.peek(now, &takes)).unwrap();
                let taken = runtime.block_on(looked_at.take(now, &takes)).unwrap();
                let alone = runtime.block_on(left_alone.take(now, &takes)).unwrap();
                prop_assert_eq!(&foreseen, &again);
                prop_assert_eq!(&foreseen, &taken);
                prop_assert_eq!(&taken, &alone);
            }
        }
    }
}
