//! Identities (contract/identities.md, decisions.md "Additions").

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::domain::keys;
use crate::domain::permissions;
use crate::domain::rate_limits;
use crate::domain::roles;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::IdentityId;
use crate::model::identity::FullIdentity;
use crate::model::identity::Identity;
use crate::model::identity::IdentityChanges;
use crate::model::meta::Meta;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::model::permission::Permission;
use crate::model::permission::Role;
use crate::model::rate_limit::Defined;
use crate::store;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::rate_limits::Limited;
use crate::store::tx::Tx;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// How often an owner is looked up and made when others delete it in between.
const TRIES: usize = 3;

/// The one answer for an identity that is unknown, deleted or of another workspace.
#[must_use]
pub fn not_found() -> Error {
    Error::new(Code::IdentityNotFound, "The requested identity does not exist or has been deleted.")
}

/// The live identity with this external id, made if there is none. Racing calls end with one.
///
/// # Errors
/// Only the database's.
pub fn ensure(tx: &mut Tx<'_>, permit: &Permit, external_id: &str) -> Result<IdentityId> {
    for _ in 0..TRIES {
        if let Some(identity) = store::identities::by_external_id(tx, permit.workspace(), external_id)? {
            return Ok(identity.id);
        }
        let new = fresh(tx, permit, external_id);
        if store::identities::insert(tx, permit, &new)? {
            return Ok(new.id);
        }
        // Another transaction made it between the two statements; look again.
    }
    Err(Error::unexpected("an identity was made and deleted by others again and again"))
}

/// Makes an identity. Of a rate limit's name that comes twice the last one counts.
///
/// # Errors
/// In this order: `insufficient_permissions`, `invalid_input` (metadata too large), `identity_already_exists`.
pub fn create(
    tx: &mut Tx<'_>,
    caller: &Caller,
    external_id: &str,
    meta: Option<&Meta>,
    enabled: bool,
    limits: Vec<Defined>,
) -> Result<IdentityId> {
    let permit = caller.permit(On::Any)?;
    keys::check_meta(meta)?;
    let new = Identity { meta: meta.cloned(), enabled, ..fresh(tx, &permit, external_id) };
    if !store::identities::insert(tx, &permit, &new)? {
        return Err(Error::new(
            Code::IdentityAlreadyExists,
            format!("An identity with the external id '{external_id}' exists already. It was not changed."),
        ));
    }
    let limits = rate_limits::last_of_each(limits);
    let limits: Vec<_> = limits.iter().map(|defined| (Limited::Identity(&new.id), defined)).collect();
    store::rate_limits::insert(tx, &permit, &limits, true)?;
    Ok(new.id)
}

/// Reads an identity, named by its id or its external id.
///
/// # Errors
/// `insufficient_permissions`, the same whether or not the identity exists; then `identity_not_found`.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<FullIdentity> {
    let (_, identity) = named(tx, caller, name)?;
    identity.ok_or_else(not_found)
}

/// Lists identities, oldest first, whose id or external id holds `search` in any letter case; blank text filters nothing.
///
/// # Errors
/// `insufficient_permissions`.
pub fn list(
    tx: &mut Tx<'_>,
    caller: &Caller,
    search: Option<&str>,
    request: &PageRequest,
) -> Result<Page<FullIdentity>> {
    let permit = caller.permit(On::Any)?;
    let search = search.map(str::trim).filter(|search| !search.is_empty());
    let rows = store::identities::list(tx, permit.workspace(), search, request)?;
    Ok(Page::cut(rows, request, |full| full.identity.id.as_str()))
}

/// Changes an identity, with `limits` all of its rate limits, and answers what is stored then.
///
/// # Errors
/// In this order: `insufficient_permissions`, `invalid_input` (two rate limits of one name, metadata too large),
/// `identity_not_found`.
pub fn update(
    tx: &mut Tx<'_>,
    caller: &Caller,
    name: &str,
    changes: &IdentityChanges,
    limits: Option<&[Defined]>,
) -> Result<FullIdentity> {
    let (permit, found) = named(tx, caller, name)?;
    rate_limits::check_distinct(limits.unwrap_or_default())?;
    keys::check_meta(changes.meta.as_ref().and_then(Option::as_ref))?;
    let id = found.ok_or_else(not_found)?.identity.id;
    // Under the lock the answer also shows what calls in the same moment have set.
    if !store::identities::lock(tx, &permit, &id)? {
        return Err(not_found());
    }
    if let Some(limits) = limits {
        store::rate_limits::set(tx, &permit, Limited::Identity(&id), limits)?;
    }
    store::identities::update(tx, &permit, &id, changes)?.ok_or_else(not_found)
}

/// Deletes an identity. Its keys stay valid, without an owner and without what they held through it.
///
/// # Errors
/// `insufficient_permissions`, `identity_not_found`.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<()> {
    let (permit, found) = named(tx, caller, name)?;
    let id = found.ok_or_else(not_found)?.identity.id;
    if !store::identities::delete(tx, &permit, &id)? {
        return Err(not_found());
    }
    Ok(store::rate_limits::set(tx, &permit, Limited::Identity(&id), &[])?)
}

/// Gives an identity exactly these permissions; those that there are not yet are made. Answers what it holds then.
///
/// # Errors
/// In this order: `insufficient_permissions`, `identity_not_found`, `insufficient_permissions` to make permissions.
pub fn set_permissions(tx: &mut Tx<'_>, caller: &Caller, name: &str, slugs: &[String]) -> Result<Vec<Permission>> {
    let (permit, id) = locked(tx, caller, name)?;
    let wanted = permissions::ensure_if(tx, &permit, slugs, || {
        caller.permit_also(On::Identity { id: id.as_str(), sent: name }, &[Action::CreatePermission]).map(drop)
    })?;
    store::links::set(tx, &permit, Holder::Identity(&id), Held::Permissions, &wanted)?;
    Ok(store::permissions::held_by(tx, permit.workspace(), Holder::Identity(&id))?)
}

/// Gives an identity exactly these roles, all of which exist. Answers those that it has then.
///
/// # Errors
/// In this order: `insufficient_permissions`, `identity_not_found`, `role_not_found`.
pub fn set_roles(tx: &mut Tx<'_>, caller: &Caller, name: &str, names: &[String]) -> Result<Vec<Role>> {
    let (permit, id) = locked(tx, caller, name)?;
    let wanted = roles::all_named(tx, &permit, names)?;
    store::links::set(tx, &permit, Holder::Identity(&id), Held::Roles, &wanted)?;
    let held = store::roles::held_by(tx, permit.workspace(), Holder::Identity(&id))?;
    Ok(held.into_iter().map(|full| full.role).collect())
}

/// Leave for the operation on the identity of this id or external id, and the identity as far as the caller reaches it.
/// The refusal depends on what was sent alone, so it is the same whether or not there is such an identity (rule 2).
fn named(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<(Permit, Option<FullIdentity>)> {
    let found = store::identities::named(tx, &caller.workspace, name)?;
    let reached = found.filter(|full| caller.reaches(&full.identity.id));
    let id = reached.as_ref().map_or(name, |full| full.identity.id.as_str());
    let permit = caller.permit(On::Identity { id, sent: name })?;
    Ok((permit, reached))
}

/// [`named`] for what an identity holds: calls that set it take turns.
fn locked(tx: &mut Tx<'_>, caller: &Caller, name: &str) -> Result<(Permit, IdentityId)> {
    let (permit, found) = named(tx, caller, name)?;
    let id = found.ok_or_else(not_found)?.identity.id;
    if store::identities::lock(tx, &permit, &id)? { Ok((permit, id)) } else { Err(not_found()) }
}

fn fresh(tx: &Tx<'_>, permit: &Permit, external_id: &str) -> Identity {
    Identity {
        id: IdentityId::generate(),
        workspace_id: permit.workspace().clone(),
        external_id: external_id.to_owned(),
        meta: None,
        enabled: true,
        created_at: tx.now(),
        updated_at: None,
    }
}

/// [`ensure`] for many at once: external id to id.
///
/// # Errors
/// Only the database's.
pub fn ensure_all(
    tx: &mut Tx<'_>,
    permit: &Permit,
    external_ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, IdentityId>> {
    let mut known = store::identities::by_external_ids(tx, permit.workspace(), external_ids)?;
    let missing: BTreeSet<_> = external_ids.iter().filter(|name| !known.contains_key(*name)).cloned().collect();
    let new: Vec<_> = missing.iter().map(|external_id| fresh(tx, permit, external_id)).collect();
    for rows in new.chunks(store::tx::MAX_ROWS) {
        store::identities::insert_missing(tx, permit, rows)?;
    }
    if !missing.is_empty() {
        known.extend(store::identities::by_external_ids(tx, permit.workspace(), &missing)?);
    }
    Ok(known)
}
