//! `ratelimit.limit`, `ratelimit.multiLimit`: one query for the namespaces and their overrides, one question to the limiter.
#![deny(clippy::arithmetic_side_effects)]

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::config::OnError;
use crate::domain::ratelimit::namespaces;
use crate::domain::ratelimit::overrides;
use crate::limiter::Counter;
use crate::limiter::Decision;
use crate::limiter::Limiter;
use crate::limiter::Take;
use crate::limiter::Taken;
use crate::limiter::window::Window;
use crate::metrics::Metrics;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::OverrideId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Origin;
use crate::store::database::Db;
use crate::store::overrides::Found;
use crate::store::overrides::look_up;
use crate::store::tx::Tx;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a decision is made with.
#[derive(Clone, Copy, Debug)]
pub struct Counting<'a> {
    /// Knows namespaces and overrides.
    pub db: &'a Db,
    /// Counts tokens.
    pub limiter: &'a Limiter,
    /// What is answered when it cannot.
    pub on_error: OnError,
    /// Tells how often that was.
    pub metrics: &'a Metrics,
}

/// May this identifier?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Id or name of the namespace.
    pub namespace: String,
    /// Who or what is limited.
    pub identifier: String,
    /// Tokens per window, unless an override applies.
    pub limit: u64,
    /// Length of the window, milliseconds, unless an override applies.
    pub duration_ms: u64,
    /// Tokens; 0 asks without taking.
    pub cost: u64,
}

/// Whether it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Whether there are tokens enough.
    pub passed: bool,
    /// Tokens per window that counted: the override's, or what was asked.
    pub limit: u64,
    /// Tokens left after the call; 0 if it did not pass.
    pub remaining: u64,
    /// End of the current window, Unix milliseconds.
    pub reset_ms: u64,
    /// The override that applied.
    pub override_id: Option<OverrideId>,
}

/// The answers to all questions of a call, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Whether all may. If not, nothing was counted.
    pub passed: bool,
    /// Each answer.
    pub each: Vec<Answered>,
}

/// Asks for all of these at once: either all of them take their tokens or none does. Namespaces that there never were are
/// made, for a caller who may limit everywhere and make them.
///
/// # Errors
/// In this order: `insufficient_permissions`, the same whether or not there are such namespaces; `insufficient_permissions`
/// to make them; `ratelimit_namespace_gone`. `service_unavailable` when the database cannot be asked, never when the
/// limiter cannot.
pub async fn decide(
    counting: &Counting<'_>,
    caller: &Caller,
    origin: &Origin,
    asked: &Arc<[Asked]>,
) -> Result<Answers> {
    let found = namespaces_of(counting.db, caller, origin, asked).await?;
    let mut takes = Vec::with_capacity(asked.len());
    let mut ids = Vec::with_capacity(asked.len());
    for (asked, found) in asked.iter().zip(found) {
        let (take, id) = take(&caller.workspace, asked, &found);
        takes.push(take);
        ids.push(id);
    }
    // Read anew: what the database took does not put the call into an earlier window.
    let now_ms = u64::try_from(counting.db.clock().now().timestamp_millis()).unwrap_or(0);
    let decision = match counting.limiter.take(now_ms, &takes).await {
        Ok(decision) => decision,
        Err(unavailable) => {
            let decision = counting.on_error.name();
            tracing::warn!(request_id = %origin.request_id, decision, cause = %unavailable.0, "tokens could not be counted");
            counting.metrics.ratelimit_fallback(counting.on_error);
            uncounted(now_ms, &takes, counting.on_error)
        }
    };
    let passed = decision.passed;
    let answers = decision.each.iter().zip(takes).zip(ids).map(|((taken, take), override_id)| Answered {
        passed: taken.passed,
        limit: take.limit,
        remaining: if passed { taken.remaining } else { taken.untouched },
        reset_ms: taken.reset_ms,
        override_id,
    });
    Ok(Answers { passed, each: answers.collect() })
}

/// The namespace of each question: all live, and all covered by what the caller may.
async fn namespaces_of(db: &Db, caller: &Caller, origin: &Origin, asked: &Arc<[Asked]>) -> Result<Vec<Found>> {
    caller.somewhere(&[])?;
    let (workspace, wanted) = (caller.workspace.clone(), Arc::clone(asked));
    let mut found = db.ask(move |tx| look(tx, &workspace, &wanted)).await?;
    let reached = |found: &Option<Found>| found.as_ref().is_some_and(|found| caller.reaches_namespace(&found.id));
    let on = asked.iter().zip(&found).map(|(asked, found)| {
        let sent = asked.namespace.as_str();
        let id = found.as_ref().filter(|found| caller.reaches_namespace(&found.id)).map(|found| found.id.as_str());
        On::Namespace { id: id.unwrap_or(sent), sent }
    });
    caller.permit_each(&on.collect::<Vec<_>>(), &[])?;
    // What is not there is covered by `*` alone: a new namespace gets an id that no grant can name.
    let missing = (!found.iter().all(reached)).then(|| caller.permit_also(On::Any, &[Action::CreateNamespace]));
    let missing = missing.transpose()?;
    none_is_gone(asked, &found)?;
    if let Some(permit) = missing {
        let wanted = Arc::clone(asked);
        let known: Vec<_> = found.iter().map(Option::is_some).collect();
        let make = move |tx: &mut Tx<'_>| {
            let unknown = wanted.iter().zip(&known).filter(|(_, known)| !**known);
            let names: BTreeSet<_> = unknown.map(|(asked, _)| asked.namespace.as_str()).collect();
            namespaces::ensure(tx, &permit, &names)?;
            look(tx, permit.workspace(), &wanted)
        };
        found = db.write(origin.clone(), make).await?;
        none_is_gone(asked, &found)?;
    }
    let found: Option<Vec<_>> = found.into_iter().collect();
    found.ok_or_else(|| Error::unexpected("a namespace was made and not found"))
}

fn none_is_gone(asked: &[Asked], found: &[Option<Found>]) -> Result<()> {
    let gone = |found: &Option<Found>| found.as_ref().is_some_and(|found| found.deleted_at.is_some());
    let Some((Asked { namespace, .. }, _)) = asked.iter().zip(found).find(|(_, found)| gone(found)) else {
        return Ok(());
    };
    Err(Error::new(
        Code::NamespaceGone,
        format!(
            "The namespace '{namespace}' was deleted. Nothing is limited in it any more, and its name stays taken."
        ),
    ))
}

fn look(tx: &mut Tx<'_>, workspace: &WorkspaceId, asked: &[Asked]) -> Result<Vec<Option<Found>>> {
    let wanted: Vec<_> = asked.iter().map(|asked| (asked.namespace.as_str(), asked.identifier.as_str())).collect();
    Ok(look_up(tx, workspace, &wanted)?)
}

/// What is taken for a question, and the override that had a say in it.
fn take(workspace: &WorkspaceId, asked: &Asked, found: &Found) -> (Take, Option<OverrideId>) {
    let applying = overrides::applying(&found.overrides, &asked.identifier);
    // Stored numbers are not negative.
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    let (limit, duration_ms) =
        applying.map_or((asked.limit, asked.duration_ms), |rule| (unsigned(rule.limit), unsigned(rule.duration_ms)));
    let counter = Counter::of_identifier(workspace, &found.id, &asked.identifier, duration_ms);
    (Take { counter, limit, duration_ms, cost: asked.cost }, applying.map(|rule| rule.id.clone()))
}

/// The decision when nothing can be counted (decisions.md #46). What no count could let pass does not pass: a limit of 0,
/// a cost above the limit. How many tokens are left is unknown, so there are none to promise.
fn uncounted(now_ms: u64, takes: &[Take], on_error: OnError) -> Decision {
    let each = takes.iter().map(|take| {
        let empty = Window::default().read(now_ms, take.duration_ms);
        let passed = on_error == OnError::Allow && empty.admits(take.limit, take.cost);
        Taken { passed, remaining: 0, untouched: 0, reset_ms: empty.reset_ms }
    });
    let each: Vec<_> = each.collect();
    Decision { passed: each.iter().all(|taken| taken.passed), each }
}

#[cfg(test)]
mod tests {
    use super::uncounted;
    use crate::config::OnError;
    use crate::limiter::Counter;
    use crate::limiter::Take;

    #[test]
    fn without_counters_only_what_no_count_could_refuse_is_allowed() {
        let take = |limit, cost| Take { counter: Counter::from_bytes([0; 32]), limit, duration_ms: 60_000, cost };
        let passed = |takes: &[Take], on_error| {
            let decision = uncounted(90_000, takes, on_error);
            assert!(decision.each.iter().all(|taken| (taken.remaining, taken.reset_ms) == (0, 120_000)));
            (decision.passed, decision.each.iter().map(|taken| taken.passed).collect::<Vec<_>>())
        };
        let takes = [take(5, 5), take(5, 6), take(0, 0), take(1, u64::MAX)];
        assert_eq!(passed(&takes, OnError::Deny), (false, vec![false; 4]));
        assert_eq!(passed(&takes, OnError::Allow), (false, vec![true, false, false, false]));
        assert_eq!(passed(&takes[..1], OnError::Allow), (true, vec![true]));
    }
}
