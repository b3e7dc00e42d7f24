//! The data plane: what is known of a key, the pure verdict, the answer.
#![deny(clippy::arithmetic_side_effects)]

pub mod decide;
mod imported;
pub mod limits;

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::expression::Expression;
use crate::domain::last_used::LastUsed;
use crate::domain::verify::decide::Question;
use crate::domain::verify::imported::Found;
use crate::domain::verify::limits::AskedLimit;
use crate::limiter::Limiter;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::MigrationId;
use crate::model::origin::Origin;
use crate::model::rate_limit::Evaluated;
use crate::model::secret::Plaintext;
use crate::model::verdict::Outcome;
use crate::model::verdict::Reason;
use crate::model::verdict::Verdict;
use crate::store::database::Db;
use crate::store::ledger::Ledger;
use crate::store::ledger::Spent;
use crate::store::snapshot;
use crate::store::snapshot::Snapshot;
use std::net::IpAddr;
use std::sync::Arc;

/// A key to be verified.
#[derive(Debug)]
pub struct Verify {
    /// The presented key.
    pub key: Plaintext,
    /// Where it was imported from, if it was and was not verified since.
    pub migration: Option<MigrationId>,
    /// Only keys of one of these APIs are found; `None` is any.
    pub apis: Option<Vec<ApiId>>,
    /// The permission query, as it was sent.
    pub permissions: Option<String>,
    /// Credits that the call costs, 0 or more, if the key is limited.
    pub cost: i64,
    /// Rate limits that it asks for beside those that apply by themselves.
    pub limits: Vec<AskedLimit>,
    /// Who presents it: the end user's address if the request carries one, else the caller's.
    pub address: Option<IpAddr>,
}

/// The verdict, with the key unless it is not to be known of.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was decided and why.
    pub verdict: Verdict,
    /// The key; `None` exactly for `NOT_FOUND`.
    pub snapshot: Option<Snapshot>,
    /// Its balance after the call; `None` is unlimited.
    pub credits: Option<i64>,
    /// Every limit that was evaluated, by name.
    pub limits: Vec<Evaluated>,
}

/// What a verification works with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// Where keys are stored.
    pub db: &'a Db,
    /// Where rate limits are counted.
    pub limiter: &'a Arc<Limiter>,
    /// Where credits are spent.
    pub ledger: &'a Ledger,
    /// Where uses are noted.
    pub last_used: &'a LastUsed,
}

/// Verifies a key. Only a `VALID` one costs anything: tokens of all limits and credits, or nothing of either.
///
/// # Errors
/// `insufficient_permissions` without any `verify_key`; `permissions_query_syntax_error`; `authentication/malformed` for
/// a key that cannot be one of its migration; `precondition_failed` for a rate limit that there is not;
/// `service_unavailable` when what is needed cannot be had: never a guess.
pub async fn verify(means: Means<'_>, caller: &Caller, origin: &Origin, request: Verify) -> Result<Verified> {
    caller.somewhere(&[])?;
    let Means { db, last_used, .. } = means;
    let (workspace, hash) = (caller.workspace.clone(), request.key.hash());
    let (mut snapshot, now) = db.ask(move |tx| Ok((snapshot::load(tx, &workspace, &hash)?, tx.now()))).await?;
    let query = request.permissions.as_deref().map(Expression::parse).transpose();
    let question = Question {
        covered: &|api| caller.covers(Action::VerifyKey, api),
        apis: request.apis.as_deref(),
        address: request.address,
        query: query.as_ref().ok().and_then(Option::as_ref),
        now,
    };
    if let (None, Some(migration)) = (&snapshot, &request.migration) {
        let presented = Arc::new(request.key);
        let known = |found: &Snapshot| decide::decide(Some(found), &question).outcome != Outcome::NotFound;
        snapshot = match imported::find(db, &caller.workspace, migration, &presented).await? {
            Found::Nothing => None,
            Found::Pending(found) if query.is_ok() && known(&found) => {
                imported::bind(db, caller, origin, found.key, migration, &presented).await?
            }
            Found::Bound(found) | Found::Pending(found) => Some(found),
        };
    }
    let verdict = decide::decide(snapshot.as_ref(), &question);
    let known = verdict.outcome != Outcome::NotFound;
    let snapshot = snapshot.filter(|_| known);
    // A query that cannot be read is refused only for keys that the caller may know of (keys.md section 6, step 5).
    if let Err(fault) = query
        && known
    {
        let detail = format!("The query in `permissions` cannot be read: {fault}.");
        return Err(Error::new(Code::PermissionsQuerySyntaxError, detail));
    }
    let Some(snapshot) = snapshot else {
        return Ok(Verified { verdict, snapshot: None, credits: None, limits: Vec::new() });
    };
    last_used.key(&snapshot.key.id, now);
    if verdict.outcome != Outcome::Valid {
        let credits = snapshot.credits.as_ref().map(|credits| credits.at(now));
        return Ok(Verified { verdict, snapshot: Some(snapshot), credits, limits: Vec::new() });
    }
    consume(means, now, snapshot, request.cost, &request.limits).await
}

/// The checks that cost something: limits first, then credits. If one of them refuses, nothing was taken.
async fn consume(
    means: Means<'_>,
    now: Timestamp,
    snapshot: Snapshot,
    cost: i64,
    asked: &[AskedLimit],
) -> Result<Verified> {
    let planned = limits::plan(&snapshot, asked)?;
    let (decision, tokens) = limits::take(means.limiter, now, &planned).await?;
    let balance = snapshot.credits.as_ref().map(|credits| credits.at(now));
    if !decision.passed {
        let limits = limits::evaluated(planned, &decision, false);
        let exceeded = limits.iter().filter(|limit| limit.exceeded).cloned().collect();
        let verdict = Verdict::from(Reason::LimitsExceeded(exceeded));
        return Ok(Verified { verdict, snapshot: Some(snapshot), credits: balance, limits });
    }
    let spent = if balance.is_some() { means.ledger.spend(&snapshot.key.id, cost).await? } else { Spent::Unlimited };
    let (reason, credits) = match spent {
        Spent::Unlimited => (Reason::Passed, None),
        Spent::Left(left) => (Reason::Passed, Some(left)),
        Spent::Refused(remaining) => (Reason::CreditsExceeded { remaining, cost }, Some(remaining)),
    };
    let verdict = Verdict::from(reason);
    let admitted = verdict.outcome == Outcome::Valid;
    if admitted {
        tokens.keep();
    } else {
        tokens.give_back().await;
    }
    let limits = limits::evaluated(planned, &decision, admitted);
    Ok(Verified { verdict, snapshot: Some(snapshot), credits, limits })
}
