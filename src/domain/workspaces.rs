//! Workspaces, which the operator makes.

use crate::authz::caller::Caller;
use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::WorkspaceId;
use crate::model::workspace::LimitChanges;
use crate::model::workspace::Workspace;
use crate::store;
use crate::store::tx::Tx;

/// Longest name, characters.
const MAX_NAME: usize = 255;

/// Makes a workspace.
///
/// # Errors
/// `invalid_input` if the name is empty, too long or taken.
pub fn create(tx: &mut Tx<'_>, name: &str) -> Result<Workspace> {
    if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(Error::new(
            Code::InvalidInput,
            format!("a workspace's name has 1 to {MAX_NAME} characters, none of them a control character"),
        ));
    }
    let permit = Permit::of_operator(WorkspaceId::generate());
    store::workspaces::insert(tx, &permit, name)?
        .ok_or_else(|| Error::new(Code::InvalidInput, format!("a workspace of the name `{name}` exists already")))
}

/// The workspace of this name, made if there is none.
///
/// # Errors
/// As [`create`].
pub fn find_or_create(tx: &mut Tx<'_>, name: &str) -> Result<Workspace> {
    if let Some(workspace) = store::workspaces::find(tx, name)? {
        return Ok(workspace);
    }
    let permit = Permit::of_operator(WorkspaceId::generate());
    match store::workspaces::insert(tx, &permit, name)? {
        Some(workspace) => Ok(workspace),
        // Another node made it between the two statements.
        None => find(tx, name),
    }
}

/// All workspaces, oldest first.
///
/// # Errors
/// Only the database's.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Workspace>> {
    Ok(store::workspaces::list(tx)?)
}

/// The workspace of this id or name.
///
/// # Errors
/// `workspace_not_found`.
pub fn find(tx: &mut Tx<'_>, id_or_name: &str) -> Result<Workspace> {
    store::workspaces::find(tx, id_or_name)?
        .ok_or_else(|| Error::new(Code::WorkspaceNotFound, format!("there is no workspace `{id_or_name}`")))
}

/// Enables or disables a workspace; says whether that changed anything.
///
/// # Errors
/// `workspace_not_found`.
pub fn set_enabled(tx: &mut Tx<'_>, id_or_name: &str, enabled: bool) -> Result<(Workspace, bool)> {
    let workspace = find(tx, id_or_name)?;
    let permit = Permit::of_operator(workspace.id.clone());
    let changed = store::workspaces::set_enabled(tx, &permit, enabled)?;
    Ok((Workspace { enabled, ..workspace }, changed))
}

/// Sets limits of a workspace, as the operator.
///
/// # Errors
/// `workspace_not_found`.
pub fn set_limits(tx: &mut Tx<'_>, id_or_name: &str, limits: &LimitChanges) -> Result<Workspace> {
    let workspace = find(tx, id_or_name)?;
    Ok(store::workspaces::set_limits(tx, &Permit::of_operator(workspace.id), limits)?)
}

/// The limits of a workspace, and how much of them is used.
#[derive(Clone, Debug)]
pub struct Usage {
    /// The workspace with its limits.
    pub workspace: Workspace,
    /// Its live keys.
    pub keys: i64,
    /// Its live root keys.
    pub root_keys: i64,
}

/// `workspace.getLimits`: any root key may ask about the workspace that it acts in.
///
/// # Errors
/// Only the database's.
pub fn usage(tx: &mut Tx<'_>, caller: &Caller) -> Result<Usage> {
    Ok(Usage {
        workspace: store::workspaces::get(tx, &caller.workspace)?,
        keys: store::keys::count(tx, &caller.workspace)?,
        root_keys: store::root_keys::count(tx, &caller.workspace)?,
    })
}
