//! What a verification, or a call with a root key, would be told: the checks of the real one, in their order, on what was read
//! for it. Nothing is taken, nothing is written.

use crate::authz::action::Action;
use crate::authz::ceiling;
use crate::authz::expression::Expression;
use crate::authz::grants::Grants;
use crate::domain::decisions::describe;
use crate::domain::decisions::describe::KeyVerdict;
use crate::domain::decisions::describe::RootKeyVerdict;
use crate::domain::root_keys;
use crate::domain::verify;
use crate::domain::verify::decide;
use crate::domain::verify::decide::Question;
use crate::domain::verify::limits;
use crate::limiter::Limiter;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::decision::DataAge;
use crate::model::decision::Description;
use crate::model::decision::KeyQuestion;
use crate::model::decision::LooksLike;
use crate::model::error::Lack;
use crate::model::error::Need;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::WorkspaceId;
use crate::model::rate_limit::Evaluated;
use crate::model::root_key::RootKey;
use crate::model::verdict::Outcome;
use crate::model::verdict::Reason;
use crate::model::verdict::Verdict;
use crate::model::workspace::Workspace;
use crate::store::snapshot::Snapshot;

/// The verdict that a key would get.
#[derive(Debug)]
pub struct Foreseen {
    /// What would be decided, and why.
    pub verdict: Verdict,
    /// Its balance; `None` is unlimited.
    pub credits: Option<i64>,
    /// Every limit that was looked at, by name, as it is before the call.
    pub limits: Vec<Evaluated>,
}

impl Foreseen {
    /// In words.
    #[must_use]
    pub fn describe(
        &self,
        workspace: &WorkspaceId,
        snapshot: Option<&Snapshot>,
        question: &KeyQuestion,
        data: DataAge,
    ) -> Description {
        describe::key(&KeyVerdict {
            workspace,
            verdict: &self.verdict,
            snapshot,
            credits: self.credits,
            limits: &self.limits,
            question,
            looks_like: LooksLike::Deleted,
            data,
        })
    }
}

/// The verdict on a key as far as it depends on the key alone.
///
/// # Errors
/// `permissions_query_syntax_error`.
pub fn decided(
    snapshot: Option<&Snapshot>,
    question: &KeyQuestion,
    covered: &dyn Fn(&ApiId) -> bool,
    now: Timestamp,
) -> Result<Verdict> {
    let query =
        question.query.as_deref().map(Expression::parse).transpose().map_err(|fault| verify::unreadable(&fault))?;
    let asked =
        Question { covered, apis: question.apis.as_deref(), address: question.address, query: query.as_ref(), now };
    Ok(decide::decide(snapshot, &asked))
}

/// The verdict on a key, its limits and its balance included.
///
/// # Errors
/// As [`decided`]; `precondition_failed` for a rate limit that there is not; `service_unavailable` when the limiter cannot
/// be asked.
pub async fn key(
    limiter: &Limiter,
    snapshot: Option<&Snapshot>,
    question: &KeyQuestion,
    covered: &dyn Fn(&ApiId) -> bool,
    now: Timestamp,
) -> Result<Foreseen> {
    let verdict = decided(snapshot, question, covered, now)?;
    let balance = snapshot.and_then(|snapshot| snapshot.credits.as_ref()).map(|credits| credits.at(now));
    let Some(snapshot) = snapshot.filter(|_| verdict.outcome == Outcome::Valid) else {
        return Ok(Foreseen { verdict, credits: balance, limits: Vec::new() });
    };
    let planned = limits::plan(snapshot, &question.limits)?;
    let decision = limits::peek(limiter, now, &planned).await?;
    let limits = limits::evaluated(planned, &decision, false);
    let verdict = match balance {
        _ if !decision.passed => {
            Reason::LimitsExceeded(limits.iter().filter(|limit| limit.exceeded).cloned().collect())
        }
        Some(remaining) if remaining < question.cost => Reason::CreditsExceeded { remaining, cost: question.cost },
        Some(_) | None => Reason::Passed,
    };
    Ok(Foreseen { verdict: Verdict::from(verdict), credits: balance, limits })
}

/// What a root key would be told.
#[derive(Clone, Debug)]
pub struct ForeseenCall {
    /// Why it would be refused; `None` if it may.
    pub refused: Option<(Code, Refusal)>,
    /// What is needed, with what of it is held.
    pub lack: Lack,
}

impl ForeseenCall {
    /// In words.
    #[must_use]
    pub fn describe(&self, operation: &str, root_key: Option<(&RootKey, &Workspace)>, data: DataAge) -> Description {
        describe::root_key(&RootKeyVerdict {
            operation,
            refused: self.refused,
            lack: Some(&self.lack),
            root_key,
            looks_like: LooksLike::Deleted,
            data,
        })
    }
}

/// Whether a root key may be used, and holds what is needed.
#[must_use]
pub fn call(
    root_key: Option<(&RootKey, &Workspace)>,
    needs: &[Need],
    gives_until: Option<Option<Timestamp>>,
    now: Timestamp,
) -> ForeseenCall {
    let Some((root_key, workspace)) = root_key else {
        return ForeseenCall { refused: Some((Code::RootKeyNotFound, Refusal::Unknown)), lack: Lack::default() };
    };
    let grants = Grants::of(&root_key.permissions);
    let needs: Vec<_> = needs.iter().map(|need| asked_again(&grants, &root_key.permissions, need)).collect();
    let lacking = needs.iter().any(|need| !need.missing().is_empty());
    let refused = match root_keys::admit(root_key, workspace, now) {
        Err(error) => Some((error.code, error.refusal.map_or(Refusal::Unknown, |refusal| *refusal))),
        Ok(()) if lacking => Some((Code::InsufficientPermissions, Refusal::Lacks)),
        Ok(()) => match gives_until {
            Some(other) if ceiling::outlives(other, root_key.expires_at) => {
                Some((Code::Forbidden, Refusal::Outlives { own: root_key.expires_at, other }))
            }
            Some(_) | None => None,
        },
    };
    ForeseenCall { refused, lack: Lack { needs, ..Lack::default() } }
}

/// The same need, with what is held of it now.
fn asked_again(grants: &Grants, tuples: &[String], need: &Need) -> Need {
    let mut parts = need.everywhere.splitn(3, '.');
    let action = match (parts.next(), parts.next(), parts.next()) {
        (Some(resource), Some(_), Some(name)) => Action::find(resource, name),
        _ => None,
    };
    match action {
        Some(action) => Need { any: need.any, ..grants.need(action, need.concrete.clone()) },
        // This version does not know it any more: only itself counts.
        None => {
            Need { held: tuples.iter().filter(|tuple| **tuple == need.everywhere).cloned().collect(), ..need.clone() }
        }
    }
}
