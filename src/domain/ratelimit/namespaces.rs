//! Namespaces: made by the first call that limits in them, shown and deleted (decisions.md #43, "Additions").

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::NamespaceId;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::model::rate_limit::Namespace;
use crate::store;
use crate::store::tx::Tx;
use std::collections::BTreeSet;

/// The one answer for a namespace that is unknown, deleted or of another workspace.
#[must_use]
pub fn not_found() -> Error {
    Error::new(Code::NamespaceNotFound, "The requested namespace does not exist or has been deleted.")
}

/// Reads a live namespace, named by its id or its name.
///
/// # Errors
/// `insufficient_permissions`, the same whether or not there is such a namespace; then `ratelimit_namespace_not_found`.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<Namespace> {
    Ok(named(tx, caller, name)?.1)
}

/// Lists live namespaces, oldest first, whose id or name holds `search` in any letter case; blank text filters nothing.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(tx: &mut Tx<'_>, caller: &Caller, search: Option<&str>, request: &PageRequest) -> Result<Page<Namespace>> {
    let permit = caller.permit(On::Any)?;
    let search = search.map(str::trim).filter(|search| !search.is_empty());
    let rows = store::namespaces::list(tx, permit.workspace(), search, request)?;
    Ok(Page::cut(rows, request, |namespace| namespace.id.as_str()))
}

/// Deletes a namespace: nothing is limited in it any more, and its name stays taken.
///
/// # Errors
/// As [`get`].
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<()> {
    let (permit, namespace) = named(tx, caller, name)?;
    if store::namespaces::delete(tx, &permit, &namespace.id)? { Ok(()) } else { Err(not_found()) }
}

/// Leave for the operation on the live namespace of this id or name, and the namespace. The refusal depends on what was
/// sent alone, so it is the same whether or not there is such a namespace (rule 2 of "Who may know what").
///
/// # Errors
/// `insufficient_permissions`, `ratelimit_namespace_not_found`.
pub(in crate::domain::ratelimit) fn named(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<(Permit, Namespace)> {
    caller.somewhere(&[])?;
    let found = store::namespaces::named(tx, &caller.workspace, name)?;
    let reached = found.filter(|namespace| caller.reaches_namespace(&namespace.id));
    let id = reached.as_ref().map_or(name, |namespace| namespace.id.as_str());
    let permit = caller.permit(On::Namespace { id, sent: name })?;
    let live = reached.filter(|namespace| namespace.deleted_at.is_none());
    Ok((permit, live.ok_or_else(not_found)?))
}

/// Makes namespaces of these names as far as there are none. In one order for all calls, so that none waits for another
/// that waits for it.
///
/// # Errors
/// Only the database's.
pub(in crate::domain::ratelimit) fn ensure(tx: &mut Tx<'_>, permit: &Permit, names: &BTreeSet<&str>) -> Result<()> {
    let fresh = |name: &&str| Namespace {
        id: NamespaceId::generate(),
        workspace_id: permit.workspace().clone(),
        name: (*name).to_owned(),
        created_at: tx.now(),
        deleted_at: None,
    };
    let new: Vec<_> = names.iter().map(fresh).collect();
    Ok(store::namespaces::insert_missing(tx, permit, &new)?)
}
