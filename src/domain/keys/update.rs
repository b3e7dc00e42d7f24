//! `keys.updateKey` (keys.md section 11).

use crate::authz::caller::Caller;
use crate::domain::identities;
use crate::domain::keys;
use crate::domain::keys::credits;
use crate::domain::keys::credits::CreditsChanges;
use crate::domain::permissions;
use crate::domain::rate_limits;
use crate::domain::roles;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::model::key::KeyChanges;
use crate::model::rate_limit::Defined;
use crate::store;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::rate_limits::Limited;
use crate::store::tx::Tx;

/// What may be changed of a key.
#[derive(Clone, Debug, Default)]
pub struct UpdateKey {
    /// The key's own columns.
    pub columns: KeyChanges,
    /// Its owner: `None` keeps, `Some(None)` clears; one that there is not yet is made.
    pub external_id: Option<Option<String>>,
    /// All permissions that it is to hold directly, by slug; those that are missing are made.
    pub permissions: Option<Vec<String>>,
    /// All roles that it is to have, by name; all of them exist.
    pub roles: Option<Vec<String>>,
    /// Its balance and refills.
    pub credits: CreditsChanges,
    /// All rate limits that it is to have; of a name that comes twice the last one counts.
    pub limits: Option<Vec<Defined>>,
}

/// Changes a key; nothing given still moves its `updatedAt`.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; `invalid_input` for metadata that
/// is too large and for refills of an unlimited key; `role_not_found`. Nothing is changed then.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id: &KeyId, wanted: &UpdateKey) -> Result<()> {
    // A caller without the right learns nothing of the request's faults.
    caller.somewhere(&[])?;
    keys::check_meta(wanted.columns.meta.as_ref().and_then(Option::as_ref))?;
    wanted.credits.check()?;
    let (FullKey { key, .. }, permit) = keys::lock(tx, caller, id)?;
    let mut columns = wanted.columns.clone();
    columns.identity_id = match &wanted.external_id {
        Some(Some(external_id)) => Some(Some(identities::ensure(tx, &permit, external_id)?)),
        Some(None) => Some(None),
        None => None,
    };
    if let Some(names) = &wanted.roles {
        let roles = roles::all_named(tx, &permit, names)?;
        store::links::set(tx, &permit, Holder::Key(&key.id), Held::Roles, &roles)?;
    }
    if let Some(slugs) = &wanted.permissions {
        let permissions = permissions::ensure(tx, &permit, slugs)?;
        store::links::set(tx, &permit, Holder::Key(&key.id), Held::Permissions, &permissions)?;
    }
    if let Some(limits) = &wanted.limits {
        let limits = rate_limits::last_of_each(limits.clone());
        store::rate_limits::set(tx, &permit, Limited::Key(&key.id), &limits)?;
    }
    // Late, since spends of the key wait from here on.
    let balance = credits::change(tx, &permit, &key.id, wanted.credits)?;
    Ok(store::keys::update(tx, &permit, &key, &columns, balance)?)
}
