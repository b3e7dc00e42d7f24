//! The data plane: what is known of a key, the pure verdict, the answer.
#![deny(clippy::arithmetic_side_effects)]

pub mod decide;
mod imported;
pub mod limits;

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::expression::Expression;
use crate::authz::expression::SyntaxError;
use crate::domain::decisions::class::KeyClass;
use crate::domain::decisions::record::Denials;
use crate::domain::decisions::record::KeptKey;
use crate::domain::decisions::record::Stranger;
use crate::domain::decisions::write;
use crate::domain::events::Events;
use crate::domain::verify::decide::Question;
use crate::domain::verify::imported::Found;
use crate::limiter::Limiter;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::decision::Description;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::MigrationId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Origin;
use crate::model::rate_limit::AskedLimit;
use crate::model::rate_limit::Evaluated;
use crate::model::secret::Hash;
use crate::model::secret::Plaintext;
use crate::model::verdict::Outcome;
use crate::model::verdict::Reason;
use crate::model::verdict::Verdict;
use crate::store::cache::Cache;
use crate::store::cache::Known;
use crate::store::database::Db;
use crate::store::ledger::Ledger;
use crate::store::ledger::Spent;
use crate::store::loader::Loader;
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
    /// What its record is to be found by.
    pub tags: Vec<String>,
    /// Whether the answer shall say why.
    pub explain: bool,
}

/// The verdict, with the key unless it is not to be known of.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was decided and why.
    pub verdict: Verdict,
    /// The key; `None` exactly for `NOT_FOUND`.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Its balance after the call; `None` is unlimited.
    pub credits: Option<i64>,
    /// Every limit that was evaluated, by name.
    pub limits: Vec<Evaluated>,
    /// The verdict in words, if that was asked for.
    pub explanation: Option<Box<Description>>,
}

/// What a verification works with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// Where keys are stored.
    pub db: &'a Db,
    /// What is remembered of them.
    pub cache: &'a Cache,
    /// Asks for those that are not.
    pub loader: &'a Loader,
    /// Where rate limits are counted.
    pub limiter: &'a Arc<Limiter>,
    /// Where credits are spent.
    pub ledger: &'a Ledger,
    /// Where verifications are noted.
    pub events: &'a Events,
    /// Where those are noted that were not `VALID`.
    pub denials: &'a Denials,
}

/// Verifies a key. Only a `VALID` one costs anything: tokens of all limits and credits, or nothing of either.
///
/// # Errors
/// `insufficient_permissions` without any `verify_key`, or without `read_decision` for an explanation;
/// `permissions_query_syntax_error`; `authentication/malformed` for a key that cannot be one of its migration;
/// `precondition_failed` for a rate limit that there is not; `service_unavailable` when what is needed cannot be had: never a
/// guess.
pub async fn verify(means: Means<'_>, caller: &Caller, origin: &Origin, request: Verify) -> Result<Verified> {
    caller.somewhere(if request.explain { &[Action::ReadDecision] } else { &[] })?;
    let db = means.db;
    let (hash, now) = (request.key.hash(), db.clock().now());
    let mut snapshot = found(means, &caller.workspace, &hash).await?;
    let query = request.permissions.as_deref().map(Expression::parse).transpose();
    let question = Question {
        covered: &|api| caller.covers(Action::VerifyKey, api),
        apis: request.apis.as_deref(),
        address: request.address,
        query: query.as_ref().ok().and_then(Option::as_ref),
        now,
    };
    let stranger = snapshot.is_none().then(|| Stranger::hashed(request.key.reveal(), hash));
    let explain = request.explain;
    let deny = |verdict: &Verdict, snapshot: Option<&Arc<Snapshot>>, credits, limits: &[Evaluated]| {
        let class = KeyClass {
            at: now,
            origin,
            caller,
            verdict,
            snapshot,
            credits,
            limits,
            stranger: stranger.as_ref(),
            apis: request.apis.as_deref(),
            query: request.permissions.as_deref(),
            address: request.address,
            cost: request.cost,
            asked: &request.limits,
            cache: means.cache,
            tell_strangers_apart: true,
        };
        if verdict.outcome != Outcome::Valid {
            means.denials.key(&class);
        }
        explain.then(|| class.kept())
    };
    if let (None, Some(migration)) = (&snapshot, &request.migration) {
        let (presented, may_bind) = (Arc::new(request.key), query.is_ok());
        snapshot = Box::pin(import(db, caller, origin, &question, (migration, presented, may_bind))).await?;
    }
    let verdict = decide::decide(snapshot.as_deref(), &question);
    let known = verdict.outcome != Outcome::NotFound;
    let unknown = if known { None } else { deny(&verdict, snapshot.as_ref(), None, &[]) };
    let snapshot = snapshot.filter(|_| known);
    // A query that cannot be read is refused only for keys that the caller may know of (keys.md section 6, step 5).
    if let Err(fault) = query
        && known
    {
        return Err(unreadable(&fault));
    }
    let Some(snapshot) = snapshot else {
        let explanation = explained(db, caller, unknown).await?;
        return Ok(Verified { verdict, snapshot: None, credits: None, limits: Vec::new(), explanation });
    };
    let mut verified = if verdict.outcome == Outcome::Valid {
        consume(means, now, snapshot, request.cost, &request.limits).await?
    } else {
        let credits = balance(means, &snapshot).await?;
        Verified { verdict, snapshot: Some(snapshot), credits, limits: Vec::new(), explanation: None }
    };
    if explain || verified.verdict.outcome != Outcome::Valid {
        let (credits, limits) = if explain { verified.before(request.cost) } else { (verified.credits, None) };
        let limits = limits.as_ref().unwrap_or(&verified.limits);
        let decided = deny(&verified.verdict, verified.snapshot.as_ref(), credits, limits);
        verified.explanation = explained(db, caller, decided).await?;
    }
    means.events.note(now, origin, &verified, request.tags, request.cost);
    Ok(verified)
}

/// The key with this hash.
async fn found(means: Means<'_>, workspace: &WorkspaceId, hash: &Hash) -> Result<Option<Arc<Snapshot>>> {
    match means.cache.key(workspace, hash) {
        Known::Present(snapshot) => Ok(Some(snapshot)),
        Known::Absent => Ok(None),
        // What is rarely needed is boxed: each verification moves the whole of its future about, needed or not.
        Known::Unknown => Box::pin(means.loader.key(workspace, hash)).await,
    }
}

/// The refusal of a permission query.
pub(in crate::domain) fn unreadable(fault: &SyntaxError) -> Error {
    let detail = format!("The query in `permissions` cannot be read: {fault}.");
    Error::new(Code::PermissionsQuerySyntaxError, detail)
}

/// The verdict in words, if they were asked for.
async fn explained(db: &Db, caller: &Caller, decided: Option<KeptKey>) -> Result<Option<Box<Description>>> {
    match decided {
        Some(decided) => Ok(Some(Box::pin(write::explained(db, caller, decided)).await?)),
        None => Ok(None),
    }
}

impl Verified {
    /// Balance and limits as they were before the call.
    fn before(&self, cost: i64) -> (Option<i64>, Option<Vec<Evaluated>>) {
        if self.verdict.outcome != Outcome::Valid {
            return (self.credits, None);
        }
        let untouched = |limit: &Evaluated| Evaluated {
            remaining: limit.remaining.saturating_add(limit.cost).min(limit.limit),
            ..limit.clone()
        };
        (self.credits.map(|left| left.saturating_add(cost)), Some(self.limits.iter().map(untouched).collect()))
    }
}

/// The imported key that this text may be; bound to it, if it is found by this question for the first time.
async fn import(
    db: &Db,
    caller: &Caller,
    origin: &Origin,
    question: &Question<'_>,
    (migration, presented, may_bind): (&MigrationId, Arc<Plaintext>, bool),
) -> Result<Option<Arc<Snapshot>>> {
    let known = |found: &Snapshot| decide::decide(Some(found), question).outcome != Outcome::NotFound;
    let found = match imported::find(db, &caller.workspace, migration, &presented).await? {
        Found::Nothing => None,
        Found::Pending(found) if may_bind && known(&found) => {
            imported::bind(db, caller, origin, found.key, migration, &presented).await?
        }
        Found::Bound(found) | Found::Pending(found) => Some(found),
    };
    Ok(found.map(Arc::new))
}

/// The checks that cost something: limits first, then credits. If one of them refuses, nothing was taken.
async fn consume(
    means: Means<'_>,
    now: Timestamp,
    snapshot: Arc<Snapshot>,
    cost: i64,
    asked: &[AskedLimit],
) -> Result<Verified> {
    let planned = limits::plan(&snapshot, asked)?;
    let (decision, tokens) = limits::take(means.limiter, now, &planned).await?;
    if !decision.passed {
        let credits = balance(means, &snapshot).await?;
        let limits = limits::evaluated(planned, &decision, false);
        let exceeded = limits.iter().filter(|limit| limit.exceeded).cloned().collect();
        let verdict = Verdict::from(Reason::LimitsExceeded(exceeded));
        return Ok(Verified { verdict, snapshot: Some(snapshot), credits, limits, explanation: None });
    }
    let limited = snapshot.credits.is_some();
    let spent = match limited {
        true => Box::pin(means.ledger.spend(&snapshot.key.id, cost)).await?,
        false => Spent::Unlimited,
    };
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
        Box::pin(tokens.give_back()).await;
    }
    let limits = limits::evaluated(planned, &decision, admitted);
    Ok(Verified { verdict, snapshot: Some(snapshot), credits, limits, explanation: None })
}

/// The balance of a limited key as it is now: what is remembered of it may be old.
async fn balance(means: Means<'_>, snapshot: &Snapshot) -> Result<Option<i64>> {
    if snapshot.credits.is_none() {
        return Ok(None);
    }
    Ok(match Box::pin(means.ledger.spend(&snapshot.key.id, 0)).await? {
        Spent::Left(balance) | Spent::Refused(balance) => Some(balance),
        Spent::Unlimited => None,
    })
}
