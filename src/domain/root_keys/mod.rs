//! Root keys: minting and revoking by the operator, authentication, and their management by each other under a ceiling.

pub mod create;
pub mod delete;
mod guard;
pub mod read;
pub mod reroll;
pub mod update;

use crate::authz::caller::Permit;
use crate::authz::grants;
use crate::domain::workspaces;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::error::Violation;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::root_key::NewRootKey;
use crate::model::root_key::RootKey;
use crate::model::secret::Hash;
use crate::model::secret::Plaintext;
use crate::model::workspace::Workspace;
use crate::store;
use crate::store::cache::Authenticated;
use crate::store::cache::Cache;
use crate::store::loader::Loader;
use crate::store::tx::Tx;
use chrono::SecondsFormat;
use std::sync::Arc;

/// Prefix of minted root keys, so that secret scanners can find them.
pub const PREFIX: &str = "keyward_root";
/// Random bytes of minted root keys.
const BYTE_LENGTH: u8 = 32;
/// Shortest root key that the operator may bring along: 22 characters of base58 are 128 bits (OWASP ASVS 11.5.1).
pub const MIN_BOOTSTRAP_LENGTH: usize = 22;
/// Most permissions that mean nothing which one refusal lists.
const MAX_VIOLATIONS: usize = 100;
/// Most of them that its sentence quotes.
const MAX_NAMED: usize = 10;
/// The workspace of `dev` and of the bootstrap root key.
pub const DEFAULT_WORKSPACE: &str = "default";

/// A root key to be minted.
#[derive(Clone, Debug)]
pub struct Mint {
    /// A label, 1 to 255 characters.
    pub name: Option<String>,
    /// Tuples `resource.id.action`; may be empty.
    pub permissions: Vec<String>,
    /// End of its life.
    pub expires_at: Option<Timestamp>,
}

/// A root key that was minted. The plaintext is not stored and not shown again.
pub type Minted = (RootKeyId, Plaintext);

/// Mints a root key, without regard to any ceiling or limit: the operator's way.
///
/// # Errors
/// `invalid_input` for permissions that mean nothing or a malformed name.
pub fn mint(tx: &mut Tx<'_>, permit: &Permit, mint: &Mint) -> Result<Minted> {
    mint_as(tx, permit, mint, true)
}

fn mint_as(tx: &mut Tx<'_>, permit: &Permit, mint: &Mint, enabled: bool) -> Result<Minted> {
    let plaintext = Plaintext::generate(Some(PREFIX), BYTE_LENGTH)?;
    let id = RootKeyId::generate();
    if store_root_key(tx, permit, (&id, &plaintext, Some(PREFIX)), mint, enabled)? {
        Ok((id, plaintext))
    } else {
        Err(Error::unexpected("256 random bits were there already"))
    }
}

/// What became of the root key that the operator brought along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// It was made.
    Created,
    /// It was there.
    Present,
    /// It was there and has been revoked; it stays revoked.
    Revoked,
}

/// Makes sure that a given root key exists in the default workspace, with every permission. Idempotent and free of
/// races: any number of nodes may do it at once.
///
/// # Errors
/// Only the database's.
pub fn bootstrap(tx: &mut Tx<'_>, plaintext: &Plaintext) -> Result<Bootstrap> {
    if let Some((_, _, deleted)) = store::root_keys::find_hash(tx, &plaintext.hash())? {
        return Ok(if deleted { Bootstrap::Revoked } else { Bootstrap::Present });
    }
    let workspace = workspaces::find_or_create(tx, DEFAULT_WORKSPACE)?;
    let mint = Mint {
        name: Some("bootstrap".to_owned()),
        permissions: crate::authz::preset::Preset::Admin.tuples(),
        expires_at: None,
    };
    let permit = Permit::of_operator(workspace.id);
    let created = store_root_key(tx, &permit, (&RootKeyId::generate(), plaintext, None), &mint, true)?;
    Ok(if created { Bootstrap::Created } else { Bootstrap::Present })
}

fn store_root_key(
    tx: &mut Tx<'_>,
    permit: &Permit,
    (id, plaintext, prefix): (&RootKeyId, &Plaintext, Option<&str>),
    mint: &Mint,
    enabled: bool,
) -> Result<bool> {
    let permissions = check_permissions(&mint.permissions)?;
    if mint.name.as_ref().is_some_and(|name| !(1..=255).contains(&name.chars().count()) || name.contains('\0')) {
        return Err(Error::invalid("body.name", "a root key's name has 1 to 255 characters", None));
    }
    let hash = plaintext.hash();
    let new = NewRootKey {
        id,
        workspace_id: permit.workspace(),
        hash: hash.as_bytes(),
        start: plaintext.start(prefix),
        last_characters: plaintext.last_characters(),
        name: mint.name.as_deref(),
        enabled,
        permissions: &permissions,
        expires_at: mint.expires_at,
        created_at: tx.now(),
    };
    Ok(store::root_keys::insert(tx, permit, &new)?)
}

/// The tuples sorted and without repeats.
///
/// # Errors
/// `invalid_input` with a violation for each one that means nothing, up to a hundred.
fn check_permissions(tuples: &[String]) -> Result<Vec<String>> {
    grants::check(tuples).map_err(|mut faults| {
        let all = faults.len();
        faults.truncate(MAX_VIOLATIONS);
        let mut named: Vec<_> = faults.iter().take(MAX_NAMED).map(|fault| fault.message.as_str()).collect();
        let more = format!("and {} more", all.saturating_sub(named.len()));
        if all > named.len() {
            named.push(&more);
        }
        let error = Error::new(Code::InvalidInput, named.join("; "));
        faults.into_iter().fold(error, |error, fault| {
            let index = fault.index.map(|index| format!("[{index}]")).unwrap_or_default();
            let location = format!("body.permissions{index}");
            let fix = Some("`keyward permissions list` prints every permission that there is.".to_owned());
            error.violating(Violation { location, message: fault.message, fix })
        })
    })
}

/// The one answer for a root key that is unknown, deleted, of another workspace, or hidden from the caller.
#[must_use]
pub fn not_found() -> Error {
    Error::new(Code::KeyNotFound, "The requested root key does not exist or has been deleted.")
}

/// The live root keys of a workspace (id or name), or of all.
///
/// # Errors
/// `workspace_not_found`.
pub fn list(tx: &mut Tx<'_>, workspace: Option<&str>) -> Result<Vec<RootKey>> {
    let workspace: Option<WorkspaceId> = match workspace {
        Some(id_or_name) => Some(workspaces::find(tx, id_or_name)?.id),
        None => None,
    };
    Ok(store::root_keys::list(tx, workspace.as_ref())?)
}

/// Revokes a root key, whatever its workspace (the operator).
///
/// # Errors
/// `key_not_found`.
pub fn revoke(tx: &mut Tx<'_>, id: &RootKeyId) -> Result<()> {
    let not_found = || Error::new(Code::KeyNotFound, format!("there is no root key `{id}`, or it was revoked before"));
    let workspace = store::root_keys::workspace_of(tx, id)?.ok_or_else(not_found)?;
    store::workspaces::lock(tx, &workspace)?;
    if store::root_keys::delete(tx, &Permit::of_operator(workspace), id)? { Ok(()) } else { Err(not_found()) }
}

/// Who a bearer is. What is remembered of it will do; that it has ended is seen on every call.
///
/// # Errors
/// `authentication/key_not_found`, `key_disabled`, `forbidden` (expired), `workspace_disabled` (common.md section 3).
///
/// A root key that is known and may not be used comes along with the refusal.
pub async fn authenticate(
    cache: &Cache,
    loader: &Loader,
    bearer: &Hash,
    now: Timestamp,
) -> Result<Arc<Authenticated>, (Error, Option<Arc<Authenticated>>)> {
    let known = match cache.root_key(bearer) {
        Some(known) => Some(known),
        None => Box::pin(loader.root_key(bearer)).await.map_err(|error| (error, None))?,
    };
    let authenticated = known.ok_or_else(|| (unknown_bearer(), None))?;
    match admit(&authenticated.root_key, &authenticated.workspace, now) {
        Ok(()) => Ok(authenticated),
        Err(refused) => Err((refused, Some(authenticated))),
    }
}

/// [`authenticate`] for the command line, which remembers nothing.
///
/// # Errors
/// As [`authenticate`].
pub fn admitted(tx: &mut Tx<'_>, bearer: &Hash) -> Result<()> {
    let (root_key, workspace) = store::root_keys::authenticate(tx, bearer)?.ok_or_else(unknown_bearer)?;
    admit(&root_key, &workspace, tx.now())
}

fn unknown_bearer() -> Error {
    Error::new(
        Code::RootKeyNotFound,
        "The credential of this request is no root key that Keyward knows. It may be mistyped, deleted, or a key of \
         an API, which cannot call Keyward. Mint one with `keyward root-key create`.",
    )
    .refusing(Refusal::Unknown)
}

/// Refuses a root key that may not be used now.
///
/// # Errors
/// `key_disabled`, `forbidden` (expired), `workspace_disabled`.
pub(in crate::domain) fn admit(root_key: &RootKey, workspace: &Workspace, now: Timestamp) -> Result<()> {
    if !root_key.enabled {
        return Err(
            Error::new(Code::RootKeyDisabled, "The root key of this request is disabled.").refusing(Refusal::Disabled)
        );
    }
    if let Some(expired) = root_key.expires_at.filter(|at| *at <= now) {
        let at = expired.to_rfc3339_opts(SecondsFormat::Millis, true);
        return Err(Error::new(Code::Forbidden, format!("The root key of this request expired at {at}."))
            .refusing(Refusal::ExpiredAt(expired)));
    }
    if !workspace.enabled {
        return Err(Error::new(
            Code::WorkspaceDisabled,
            "The workspace of this root key is disabled. Its operator can enable it with `keyward workspace enable`.",
        )
        .refusing(Refusal::WorkspaceDisabled));
    }
    Ok(())
}
