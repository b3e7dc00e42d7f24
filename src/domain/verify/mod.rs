//! The data plane: what is known of a key, the pure verdict, the answer.
#![deny(clippy::arithmetic_side_effects)]

pub mod decide;

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::expression::Expression;
use crate::domain::last_used::LastUsed;
use crate::domain::verify::decide::Question;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::secret::Hash;
use crate::model::verdict::Outcome;
use crate::model::verdict::Verdict;
use crate::store::database::Db;
use crate::store::snapshot;
use crate::store::snapshot::Snapshot;
use std::net::IpAddr;

/// A key to be verified.
#[derive(Clone, Debug)]
pub struct Verify {
    /// Hash of the presented key.
    pub hash: Hash,
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
/// `insufficient_permissions` without any `verify_key`; `permissions_query_syntax_error`; `service_unavailable` when what is needed cannot be had: never a
/// guess.
pub async fn verify(db: &Db, last_used: &LastUsed, caller: &Caller, request: Verify) -> Result<Verified> {
    caller.somewhere(&[])?;
    let (workspace, hash) = (caller.workspace.clone(), request.hash);
    let (snapshot, now) = db.ask(move |tx| Ok((snapshot::load(tx, &workspace, &hash)?, tx.now()))).await?;
    let query = request.permissions.as_deref().map(Expression::parse).transpose();
    let verdict = decide::decide(
        snapshot.as_ref(),
        &Question {
            covered: &|api| caller.covers(Action::VerifyKey, api),
            apis: request.apis.as_deref(),
            address: request.address,
            query: query.as_ref().ok().and_then(Option::as_ref),
            now,
        },
    );
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
