//! The rate limits of a verification: which of them count, what they say, and tokens that go back (keys.md section 8).

use crate::limiter::Counter;
use crate::limiter::Decision;
use crate::limiter::Limiter;
use crate::limiter::Planned;
use crate::limiter::Take;
use crate::limiter::Unavailable;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::rate_limit::AskedLimit;
use crate::model::rate_limit::Evaluated;
use crate::model::rate_limit::RateLimit;
use crate::store::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The limits that count: all that apply by themselves, and those that the request names, by name.
///
/// # Errors
/// `precondition_failed` for a name that nothing is stored under and that does not bring its own limit along.
pub(in crate::domain) fn plan(snapshot: &Snapshot, asked: &[AskedLimit]) -> Result<Vec<Planned>> {
    if asked.is_empty() {
        // Counters are hashes: those of a key that did not change are the same each time.
        if let Some(known) = snapshot.planned.get() {
            return Ok(known.to_vec());
        }
        let planned = plan_all(snapshot, &[])?;
        return Ok(snapshot.planned.get_or_init(|| planned.into()).to_vec());
    }
    plan_all(snapshot, asked)
}

fn plan_all(snapshot: &Snapshot, asked: &[AskedLimit]) -> Result<Vec<Planned>> {
    // Of a name that comes twice the last one counts.
    let mut asked: BTreeMap<&str, &AskedLimit> = asked.iter().map(|asked| (asked.name.as_str(), asked)).collect();
    let own = snapshot.limits.key.iter().map(|limit| (limit, true));
    let stored: BTreeMap<&str, (&RateLimit, bool)> = snapshot
        .limits
        .of_identity_alone()
        .map(|limit| (limit, false))
        .chain(own)
        .map(|stored| (stored.0.name.as_str(), stored))
        .collect();
    let mut planned: BTreeMap<&str, Planned> = BTreeMap::new();
    for (name, (limit, of_key)) in &stored {
        match asked.remove(name) {
            Some(asked) => planned.insert(name, named(snapshot, asked, limit, *of_key)),
            None if limit.auto_apply => planned.insert(name, stored_as_is(snapshot, limit, *of_key)),
            None => None,
        };
    }
    for (name, asked) in asked {
        let (Some(limit), Some(duration_ms)) = (asked.limit, asked.duration_ms) else { return Err(unknown(name)) };
        planned.insert(name, brought_along(snapshot, asked, limit, duration_ms));
    }
    Ok(planned.into_values().collect())
}

/// What [`take`] would find. Nothing is taken.
///
/// # Errors
/// As [`take`].
pub(in crate::domain) async fn peek(limiter: &Limiter, now: Timestamp, planned: &[Planned]) -> Result<Decision> {
    let takes: Vec<_> = planned.iter().map(|planned| planned.take).collect();
    limiter.peek(milliseconds(now), &takes).await.map_err(uncounted)
}

/// What all of them say. Either all tokens are taken then, or none.
///
/// # Errors
/// `service_unavailable` when the limiter cannot decide: never a guess (decisions.md #46).
pub(super) async fn take(limiter: &Arc<Limiter>, now: Timestamp, planned: &[Planned]) -> Result<(Decision, Tokens)> {
    let takes: Vec<_> = planned.iter().map(|planned| planned.take).collect();
    let now_ms = milliseconds(now);
    let decision = limiter.take(now_ms, &takes).await.map_err(uncounted)?;
    let takes = if decision.passed { takes } else { Vec::new() };
    Ok((decision, Tokens { limiter: Arc::clone(limiter), now_ms, takes }))
}

/// The limits as the answer shows them: with what is left after the call, or with what was left before it if nothing was
/// taken in the end.
pub(in crate::domain) fn evaluated(planned: Vec<Planned>, decision: &Decision, kept: bool) -> Vec<Evaluated> {
    let shown = planned.into_iter().zip(&decision.each).map(|(planned, taken)| {
        let remaining = if kept { taken.remaining } else { taken.untouched };
        Evaluated {
            remaining: i64::try_from(remaining).unwrap_or(i64::MAX),
            reset_ms: i64::try_from(taken.reset_ms).unwrap_or(i64::MAX),
            exceeded: !taken.passed,
            ..planned.limit
        }
    });
    shown.collect()
}

/// Tokens that were taken for a call whose outcome is open. Unless they are kept they go back: a denied call costs
/// nothing, nor does one that was given up while it waited.
#[derive(Debug)]
pub(super) struct Tokens {
    limiter: Arc<Limiter>,
    now_ms: u64,
    takes: Vec<Take>,
}

impl Tokens {
    /// The call was admitted.
    pub(super) fn keep(mut self) {
        self.takes.clear();
    }

    /// The call was refused.
    pub(super) async fn give_back(mut self) {
        let takes = std::mem::take(&mut self.takes);
        if !takes.is_empty() {
            self.limiter.give_back(self.now_ms, &takes).await;
        }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        let (limiter, now_ms, takes) = (Arc::clone(&self.limiter), self.now_ms, std::mem::take(&mut self.takes));
        if takes.is_empty() {
            return;
        }
        // Nobody waits any more, so nobody can be told how it ends.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { limiter.give_back(now_ms, &takes).await });
        }
    }
}

fn stored_as_is(snapshot: &Snapshot, limit: &RateLimit, of_key: bool) -> Planned {
    planned(snapshot, limit, of_key, 1)
}

fn named(snapshot: &Snapshot, asked: &AskedLimit, stored: &RateLimit, of_key: bool) -> Planned {
    match (asked.limit, asked.duration_ms) {
        (Some(limit), Some(duration_ms)) => brought_along(snapshot, asked, limit, duration_ms),
        (limit, duration_ms) => {
            let merged = RateLimit {
                limit: limit.unwrap_or(stored.limit),
                duration_ms: duration_ms.unwrap_or(stored.duration_ms),
                ..stored.clone()
            };
            planned(snapshot, &merged, of_key, asked.cost)
        }
    }
}

fn planned(snapshot: &Snapshot, limit: &RateLimit, of_key: bool, cost: i64) -> Planned {
    let (key, duration) = (&snapshot.key, unsigned(limit.duration_ms));
    let counter = match &snapshot.identity {
        Some(identity) if !of_key => Counter::of_identity(&key.workspace_id, &identity.id, &limit.name, duration),
        Some(_) | None => Counter::of_key(&key.workspace_id, &key.id, &limit.name, duration),
    };
    Planned {
        take: Take { counter, limit: unsigned(limit.limit), duration_ms: duration, cost: unsigned(cost) },
        limit: Evaluated {
            id: Some(limit.id.clone()),
            name: limit.name.clone(),
            limit: limit.limit,
            duration_ms: limit.duration_ms,
            auto_apply: limit.auto_apply,
            reset_ms: 0,
            remaining: 0,
            exceeded: false,
            cost,
        },
    }
}

/// A limit of the request's own: always counted for the key, also where the stored one of its name is the owner's.
fn brought_along(snapshot: &Snapshot, asked: &AskedLimit, limit: i64, duration_ms: i64) -> Planned {
    let (key, duration) = (&snapshot.key, unsigned(duration_ms));
    let counter = Counter::of_key(&key.workspace_id, &key.id, &asked.name, duration);
    Planned {
        take: Take { counter, limit: unsigned(limit), duration_ms: duration, cost: unsigned(asked.cost) },
        limit: Evaluated {
            id: None,
            name: asked.name.clone(),
            limit,
            duration_ms,
            auto_apply: false,
            reset_ms: 0,
            remaining: 0,
            exceeded: false,
            cost: asked.cost,
        },
    }
}

fn milliseconds(now: Timestamp) -> u64 {
    u64::try_from(now.timestamp_millis()).unwrap_or(0)
}

fn uncounted(unavailable: Unavailable) -> Error {
    let mut error = Error::unavailable(unavailable.0);
    error.detail =
        "Keyward cannot count rate limits right now, so it cannot say whether this key may be used. Try again shortly."
            .to_owned();
    error
}

/// The contract and the database admit no negative numbers; one that came all the same is 0, which refuses.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn unknown(name: &str) -> Error {
    Error::new(
        Code::PreconditionFailed,
        format!(
            "Neither this key nor its owner has a rate limit '{name}'. Define it with keys.updateKey or \
             identities.updateIdentity, or send both `limit` and `duration` with it."
        ),
    )
}
