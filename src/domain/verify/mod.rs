//! The data plane: what is known of a key, the pure verdict, the answer.
#![deny(clippy::arithmetic_side_effects)]

pub mod decide;
mod imported;

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::expression::Expression;
use crate::domain::last_used::LastUsed;
use crate::domain::verify::decide::Question;
use crate::domain::verify::imported::Found;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::MigrationId;
use crate::model::origin::Origin;
use crate::model::secret::Plaintext;
use crate::model::verdict::Outcome;
use crate::model::verdict::Verdict;
use crate::store::database::Db;
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
}

/// Verifies a key.
///
/// # Errors
/// `insufficient_permissions` without any `verify_key`; `permissions_query_syntax_error`; `authentication/malformed` for
/// a key that cannot be one of its migration; `service_unavailable` when what is needed cannot be had: never a guess.
pub async fn verify(
    db: &Db,
    last_used: &LastUsed,
    caller: &Caller,
    origin: &Origin,
    request: Verify,
) -> Result<Verified> {
    caller.somewhere(&[])?;
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
    if let Some(snapshot) = &snapshot {
        last_used.key(&snapshot.key.id, now);
    }
    Ok(Verified { verdict, snapshot })
}
