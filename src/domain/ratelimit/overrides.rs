//! Overrides: other limits for some identifiers of a namespace (ratelimit.md "Overrides").

use crate::authz::caller::Caller;
use crate::domain::ratelimit::namespaces;
use crate::limiter::pattern;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::OverrideId;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::model::rate_limit::Override;
use crate::model::rate_limit::OverrideRule;
use crate::store;
use crate::store::tx::Tx;

fn not_found() -> Error {
    Error::new(Code::OverrideNotFound, "The namespace has no override for this identifier.")
}

/// Sets the override of an identifier, or of all that a pattern describes; answers its id, which stays when it is set
/// again. `limit` 0 blocks.
///
/// # Errors
/// `insufficient_permissions`, the same whether or not there is such a namespace; then `ratelimit_namespace_not_found`.
pub fn set(
    tx: &mut Tx<'_>,
    caller: &Caller,
    namespace: &str,
    identifier: &str,
    limit: i64,
    duration_ms: i64,
) -> Result<OverrideId> {
    let (permit, namespace) = namespaces::named(tx, caller, namespace)?;
    let new = Override {
        id: OverrideId::generate(),
        workspace_id: permit.workspace().clone(),
        namespace_id: namespace.id,
        identifier: identifier.to_owned(),
        limit,
        duration_ms,
        created_at: tx.now(),
        updated_at: None,
    };
    Ok(store::overrides::set(tx, &permit, &new)?)
}

/// The override that applies to an identifier: its own, or else that of the pattern that a limit call would take.
///
/// # Errors
/// `insufficient_permissions`, the same whether or not there is such a namespace; then `ratelimit_namespace_not_found`,
/// then `ratelimit_override_not_found`.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, namespace: &str, identifier: &str) -> Result<OverrideRule> {
    let (permit, namespace) = namespaces::named(tx, caller, namespace)?;
    let found = store::overrides::look_up(tx, permit.workspace(), &[(namespace.id.as_str(), identifier)])?;
    let overrides = found.into_iter().flatten().flat_map(|found| found.overrides).collect::<Vec<_>>();
    applying(&overrides, identifier).cloned().ok_or_else(not_found)
}

/// Lists the overrides of a namespace, oldest first.
///
/// # Errors
/// As [`set`].
pub fn list(tx: &mut Tx<'_>, caller: &Caller, namespace: &str, request: &PageRequest) -> Result<Page<OverrideRule>> {
    let (permit, namespace) = namespaces::named(tx, caller, namespace)?;
    let rows = store::overrides::list(tx, permit.workspace(), &namespace.id, request)?;
    Ok(Page::cut(rows, request, |rule| rule.id.as_str()))
}

/// Deletes the override of exactly this text.
///
/// # Errors
/// As [`get`].
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, namespace: &str, identifier: &str) -> Result<()> {
    let (permit, namespace) = namespaces::named(tx, caller, namespace)?;
    if store::overrides::delete(tx, &permit, &namespace.id, identifier)? { Ok(()) } else { Err(not_found()) }
}

/// Which of these applies to an identifier.
pub(in crate::domain::ratelimit) fn applying<'a>(
    overrides: &'a [OverrideRule],
    identifier: &str,
) -> Option<&'a OverrideRule> {
    pattern::applying(overrides, |rule| rule.identifier.as_str(), identifier)
}
