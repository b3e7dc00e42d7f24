//! `keys.rerollKey` (keys.md section 11, decisions.md #27, #53).

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::domain::keys;
use crate::domain::keys::create;
use crate::domain::keys::create::CreateKey;
use crate::domain::keys::create::Created;
use crate::domain::keys::recover;
use crate::model::code::Code;
use crate::model::credits::Credits;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::model::master_key::MasterKeys;
use crate::model::rate_limit::Defined;
use crate::store;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::tx::Tx;
use chrono::Duration;

/// Makes a new key in the likeness of an old one, which lives on for `grace` at most; without a grace it keeps its own
/// end. The whole prefix and the byte length are kept. Credits are copied, not shared: both keys have the balance of now.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; `precondition_failed` if the key
/// has expired, or is recoverable and that is no longer possible.
pub fn reroll(
    tx: &mut Tx<'_>,
    caller: &Caller,
    master_keys: &MasterKeys,
    id: &KeyId,
    grace: Option<Duration>,
) -> Result<Created> {
    caller.somewhere(&[])?;
    let FullKey { key: old, api, identity, credits, limits, .. } =
        store::keys::find_for_update(tx, &caller.workspace, id)?.ok_or_else(keys::not_found)?;
    let recoverable = store::sealed_keys::exists(tx, &caller.workspace, &old.id)?;
    let also: &[Action] = if recoverable { &[Action::EncryptKey] } else { &[] };
    let permit = caller.permit_inside(&api.id, also, Action::ReadKey, keys::not_found)?;
    let now = tx.now();
    // Whoever waited for another reroll read its clock before that one ended the key; the last change is past all the same.
    let surely_past = old.updated_at.map_or(now, |changed| changed.max(now));
    if old.expires_at.is_some_and(|at| at <= surely_past) {
        return Err(Error::new(
            Code::PreconditionFailed,
            "This key has expired and cannot be rerolled. Create a new key, or move its `expires` with keys.updateKey first.",
        ));
    }
    if recoverable {
        recover::check_possible(master_keys, &api)?;
    }
    let new = CreateKey {
        api_id: old.api_id.clone(),
        prefix: old.prefix.clone(),
        byte_length: old.byte_length.or(api.default_bytes),
        name: old.name.clone(),
        meta: old.meta.clone(),
        expires_at: old.expires_at,
        enabled: old.enabled,
        recoverable,
        external_id: None,
        permissions: Vec::new(),
        roles: Vec::new(),
        credits: None,
        limits: Vec::new(),
    };
    create::check_limit(tx, &permit, 1)?;
    let created = create::make(tx, &permit, master_keys, &new, identity.as_ref().map(|identity| &identity.id))?;
    let permissions = store::links::list(tx, permit.workspace(), Holder::Key(&old.id), Held::Permissions)?;
    let roles = store::links::list(tx, permit.workspace(), Holder::Key(&old.id), Held::Roles)?;
    create::give(tx, &permit, &created.id, &permissions, &roles)?;
    let credits = credits.map(|credits| Credits { key_id: created.id.clone(), ..credits.settled(now) });
    let limits: Vec<_> = limits.key.into_iter().map(Defined::from).collect();
    create::limit(tx, &permit, &created.id, credits, &limits)?;
    let grace_ends = grace.and_then(|grace| now.checked_add_signed(grace));
    let ends = match (old.expires_at, grace_ends) {
        (Some(own), Some(grace)) => Some(own.min(grace)),
        (own, grace) => own.or(grace),
    };
    store::keys::replace(tx, &permit, &old, &created.id, ends)?;
    Ok(created)
}
