//! What stands between one root key and the others: the caller as it is now, the ceiling, the limit, the last minter.

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::ceiling::Ceiling;
use crate::authz::grants::Grants;
use crate::domain::root_keys;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::root_key::RootKey;
use crate::model::workspace::Workspace;
use crate::store;
use crate::store::tx::Tx;
use std::sync::Arc;

/// The caller and its workspace, read under the workspace's lock.
#[derive(Debug)]
pub(super) struct Current {
    /// The caller with what it holds now.
    pub(super) caller: Caller,
    /// Its root key.
    pub(super) root_key: RootKey,
    /// Its workspace, locked.
    pub(super) workspace: Workspace,
}

impl Current {
    /// Locks the caller's workspace and reads the caller again: what it was found to hold before may be gone, and what
    /// is gone is not given away any more.
    ///
    /// # Errors
    /// Those of authentication, `insufficient_permissions` (rule 1).
    pub(super) fn lock(tx: &mut Tx<'_>, caller: &Caller) -> Result<Self> {
        caller.somewhere(&[])?;
        let workspace = store::workspaces::lock(tx, &caller.workspace)?;
        let root_key =
            store::root_keys::find(tx, &caller.workspace, &caller.root_key)?.ok_or_else(root_keys::unknown_bearer)?;
        root_keys::admit(&root_key, &workspace, tx.now())?;
        let caller = Caller { grants: Arc::new(Grants::of(&root_key.permissions)), ..caller.clone() };
        caller.somewhere(&[])?;
        Ok(Self { caller, root_key, workspace })
    }

    /// What the caller may give away at most.
    pub(super) fn ceiling(&self) -> Ceiling<'_> {
        Ceiling {
            held: &self.root_key.permissions,
            ends: self.root_key.expires_at,
            operation: self.caller.operation,
            needs: self.caller.needs,
        }
    }

    /// Refuses one more root key than the workspace may have.
    ///
    /// # Errors
    /// `root_keys_limit_exceeded`.
    pub(super) fn check_limit(&self, tx: &mut Tx<'_>) -> Result<()> {
        let Some(most) = self.workspace.root_keys_max else { return Ok(()) };
        let count = store::root_keys::count(tx, &self.workspace.id)?;
        if count < most {
            return Ok(());
        }
        Err(Error::new(
            Code::RootKeysLimitExceeded,
            format!(
                "This workspace may have {most} root keys (its limit rootKeysMax) and has them; disabled and expired ones \
                 count until they are deleted. Delete root keys that are not needed with rootKeys.deleteKey, or ask the \
                 operator to raise the limit with `keyward workspace limit WORKSPACE --root-keys N`."
            ),
        )
        .refusing(Refusal::RootKeysLimit { most, wanted: count.saturating_add(1) }))
    }

    /// Refuses to take the right to mint from the last root key that can: the workspace would be locked out of its own
    /// access. `after` is the root key as it would be, `None` if it would be gone.
    ///
    /// # Errors
    /// `precondition_failed`.
    pub(super) fn keep_a_minter(&self, tx: &mut Tx<'_>, before: &RootKey, after: Option<&RootKey>) -> Result<()> {
        let tuple = Action::CreateRootKey.on("*");
        let now = tx.now();
        let mints = |root_key: &RootKey| {
            let alive = root_key.enabled && root_key.expires_at.is_none_or(|at| at > now);
            alive && root_key.permissions.contains(&tuple)
        };
        if !mints(before) || after.is_some_and(mints) {
            return Ok(());
        }
        if store::root_keys::another_holds(tx, &self.workspace.id, &before.id, &tuple)? {
            return Ok(());
        }
        Err(Error::new(
            Code::PreconditionFailed,
            format!(
                "This is the last enabled, unexpired root key of its workspace that holds {tuple}. Without it nobody \
                 could mint root keys over the API any more, so nothing was changed. Give another root key this \
                 permission first; or the operator can revoke it with `keyward root-key revoke`."
            ),
        ))
    }
}
