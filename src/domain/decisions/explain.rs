//! `decisions.explain`: the record of a request, as far as the reader may know it (decisions.md "Additions").

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::grants::Grants;
use crate::domain::decisions::describe;
use crate::domain::decisions::record::Denials;
use crate::domain::decisions::replay;
use crate::domain::decisions::replay::Today;
use crate::limiter::Limiter;
use crate::model::code::Code;
use crate::model::decision::CredentialType;
use crate::model::decision::Decision;
use crate::model::decision::Description;
use crate::model::decision::LooksLike;
use crate::model::decision::PastChange;
use crate::model::decision::Replayed;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::store;
use crate::store::database::Db;
use crate::store::tx::Tx;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longest time that a reader waits for what was just denied to be written.
const FLUSH: Duration = Duration::from_millis(500);

/// What an explanation is made with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// Where records are stored.
    pub db: &'a Db,
    /// Those that are not stored yet.
    pub denials: &'a Denials,
    /// Where rate limits are counted.
    pub limiter: &'a Limiter,
}

/// A record, and what would be said today.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The record; its `request_id` is the one that was asked for.
    pub decision: Decision,
    /// The latest changes before it; `None` for a reader who may not know them.
    pub before: Option<Vec<PastChange>>,
    /// What the same request would be told now.
    pub now: Replayed,
}

/// Explains the denial of a request to a root key.
///
/// # Errors
/// `decision_not_found` for what is unknown, of another workspace, or may not be read: one answer for all of it.
pub async fn explain(means: Means<'_>, caller: &Arc<Caller>, request: &RequestId) -> Result<Explained> {
    let found = match find(means.db, caller, request).await {
        // It may have been denied a moment ago, on this node, and may be on its way while this is asked.
        Err(error) if error.code == Code::DecisionNotFound => {
            // What cannot be written now is written later; this one may be there all the same.
            if let Ok(Err(error)) = timeout(FLUSH, means.denials.flush(means.db)).await {
                tracing::warn!(?error, cause = ?error.source, "denials were not recorded yet");
            }
            find(means.db, caller, request).await
        }
        found => found,
    };
    let (decision, reader) = found?;
    let today = replay::today(means.db, means.limiter, &caller.workspace, &decision).await?;
    let decision = Decision { request_id: request.clone(), ..decision };
    Ok(match reader {
        Reader::Whole => whole(readable(decision, caller), today),
        Reader::Denied => reduced(decision, today, &caller.grants),
    })
}

/// Explains the denial of a request to the operator, whatever its workspace.
///
/// # Errors
/// `decision_not_found`.
pub async fn explain_to_operator(db: &Db, limiter: &Limiter, request: &RequestId) -> Result<Explained> {
    let asked = request.clone();
    let found = db.read(move |tx| Ok(store::decisions::find(tx, None, &asked)?)).await?;
    let decision = found.ok_or_else(not_found)?;
    // What belongs to no workspace has no past.
    let nowhere = WorkspaceId::from_text("");
    let workspace = decision.description.principal.workspace_id.clone().unwrap_or(nowhere);
    let today = replay::today(db, limiter, &workspace, &decision).await?;
    Ok(whole(Decision { request_id: request.clone(), ..decision }, today))
}

/// How much of a record a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A holder of `read_decision`.
    Whole,
    /// The root key that was denied.
    Denied,
}

async fn find(db: &Db, caller: &Arc<Caller>, request: &RequestId) -> Result<(Decision, Reader)> {
    let (caller, request) = (Arc::clone(caller), request.clone());
    db.read(move |tx| find_now(tx, &caller, &request)).await
}

fn find_now(tx: &mut Tx<'_>, caller: &Caller, request: &RequestId) -> Result<(Decision, Reader)> {
    let found = store::decisions::find(tx, Some(&caller.workspace), request)?;
    let decision = found.ok_or_else(not_found)?;
    let credential = &decision.description.credential;
    let own =
        credential.r#type == CredentialType::RootKey && credential.id.as_deref() == Some(caller.root_key.as_str());
    if caller.permit_also(On::Any, &[Action::ReadDecision]).is_ok() {
        Ok((decision, Reader::Whole))
    } else if own {
        Ok((decision, Reader::Denied))
    } else {
        Err(not_found())
    }
}

fn not_found() -> Error {
    Error::new(
        Code::DecisionNotFound,
        "There is no record of a denial under this request id that this root key may read. A record is there about a \
         second after the denial, and for as long as the operator keeps records.",
    )
}

fn whole(decision: Decision, today: Today) -> Explained {
    Explained { decision, before: Some(today.before), now: today.now }
}

/// A record as a reader of records sees it: an API whose keys have a prefix is named to who may read that API.
#[must_use]
pub(super) fn readable(mut decision: Decision, caller: &Caller) -> Decision {
    hide(&mut decision.description, caller);
    decision
}

/// Takes out of a description what its reader may not know.
pub(super) fn hide(description: &mut Description, caller: &Caller) {
    let credential = &mut description.credential;
    let hidden = credential.looks_like == Some(LooksLike::PrefixOf)
        && !credential.api_id.as_ref().is_some_and(|api| caller.covers(Action::ReadApi, api));
    if hidden {
        (credential.looks_like, credential.api_id) = (Some(LooksLike::Unknown), None);
        description.summary = describe::summary_of_unknown_key(LooksLike::Unknown).to_owned();
    }
}

/// What the denied root key itself may know: what it lacks, and nothing of others or of ids that it did not send.
fn reduced(mut decision: Decision, today: Today, grants: &Grants) -> Explained {
    let lacking = decision.told.as_ref().map(|told| told.missing.clone()).unwrap_or_default();
    if let Some(told) = decision.told.take() {
        let description = &mut decision.description;
        description.summary = told.summary;
        // More would tell which of its own permissions count for what it did not name.
        description.held.retain(|held| told.required.iter().flatten().any(|tuple| *tuple == held.permission));
        description.required.permissions = Some(told.required);
        description.missing = told.missing;
        description.change = told.change;
    }
    let mut now = today.now;
    now.because = Vec::new();
    now.missing =
        if now.allowed { Vec::new() } else { lacking.into_iter().filter(|tuple| !grants.hold(tuple)).collect() };
    now.text = match (now.allowed, now.missing.as_slice()) {
        (true, _) => "The same request would be allowed now.".to_owned(),
        (false, []) => "The same request would be refused now.".to_owned(),
        (false, missing) => format!("The same request would be refused now: it lacks {}.", describe::quoted(missing)),
    };
    Explained { decision, before: None, now }
}
