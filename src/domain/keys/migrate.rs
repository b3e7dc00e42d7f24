//! `keys.migrateKeys`: keys of another system, by their hashes (keys.md section 13, decisions.md #32).

use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::domain::apis;
use crate::domain::identities;
use crate::domain::keys;
use crate::domain::keys::create;
use crate::domain::keys::credits::NewCredits;
use crate::domain::migrations;
use crate::domain::permissions;
use crate::domain::rate_limits;
use crate::domain::roles;
use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::MigrationId;
use crate::model::meta::Meta;
use crate::model::migration::Algorithm;
use crate::model::rate_limit::Defined;
use crate::model::secret::Hash;
use crate::store;
use crate::store::imports::NewImport;
use crate::store::links::Held;
use crate::store::links::Link;
use crate::store::links::Named;
use crate::store::rate_limits::Limited;
use crate::store::tx::Tx;
use std::collections::BTreeSet;
use std::collections::HashSet;

/// Keys to be imported into one API.
#[expect(missing_debug_implementations, reason = "holds hashes")]
pub struct Import {
    /// Where they come from.
    pub migration_id: MigrationId,
    /// The API that they will belong to.
    pub api_id: ApiId,
    /// The keys.
    pub keys: Vec<ImportKey>,
}

/// One of them.
#[expect(missing_debug_implementations, reason = "holds a hash")]
pub struct ImportKey {
    /// What the other system stored.
    pub hash: Hash,
    /// A label.
    pub name: Option<String>,
    /// Free-form metadata.
    pub meta: Option<Meta>,
    /// End of its life.
    pub expires_at: Option<Timestamp>,
    /// Whether it verifies.
    pub enabled: bool,
    /// Its owner; made if there is none of this name.
    pub external_id: Option<String>,
    /// Slugs of its permissions; those that are missing are made.
    pub permissions: Vec<String>,
    /// Names of its roles; those that are missing are made.
    pub roles: Vec<String>,
    /// How often it may be used; `None` is unlimited.
    pub credits: Option<NewCredits>,
    /// Its rate limits; of a name that comes twice the last one counts.
    pub limits: Vec<Defined>,
}

/// Imports keys, all that can be in one transaction. Answers one id for each key in order, and none where the hash is
/// stored in this workspace already or came before in the same request.
///
/// # Errors
/// In this order: `insufficient_permissions`, `api_not_found`, `migration_not_found`, `invalid_input` (metadata too
/// large, refills of an unlimited key), `keys_limit_exceeded`. Nothing is imported then.
pub fn migrate(tx: &mut Tx<'_>, caller: &Caller, import: &Import) -> Result<Vec<Option<KeyId>>> {
    let permit = caller.permit(On::Api(&import.api_id))?;
    let api = store::apis::find_for_share(tx, permit.workspace(), &import.api_id)?.ok_or_else(apis::not_found)?;
    let migration = store::imports::find_migration(tx, permit.workspace(), &import.migration_id)?
        .ok_or_else(migrations::not_found)?;
    for (index, key) in import.keys.iter().enumerate() {
        keys::check_meta_at(&format!("body.keys[{index}].meta"), key.meta.as_ref())?;
        if let Some(credits) = key.credits {
            credits.check(&format!("body.keys[{index}].credits"))?;
        }
    }
    let ids = choose(tx, &permit, &import.keys)?;
    let fresh: Vec<_> = import.keys.iter().zip(&ids).filter_map(|(key, id)| Some((key, id.as_ref()?))).collect();
    if fresh.is_empty() {
        return Ok(ids);
    }
    create::check_limit(tx, &permit, fresh.len())?;
    // A SHA-256 of the whole key is what Keyward stores itself: such a key is native at once.
    let pending = (migration.algorithm == Algorithm::PrefixedApiKey).then_some(&migration.id);
    let stored = store_all(tx, &permit, &api.id, pending, &fresh)?;
    Ok(ids.into_iter().map(|id| id.filter(|id| stored.contains(id))).collect())
}

/// An id for each key whose hash is new to the workspace and to the request.
fn choose(tx: &mut Tx<'_>, permit: &Permit, imported: &[ImportKey]) -> Result<Vec<Option<KeyId>>> {
    // Before the hashes are looked up: what is counted afterwards does not change any more.
    store::workspaces::lock_keys_max(tx, permit)?;
    let hashes: Vec<_> = imported.iter().map(|key| key.hash).collect();
    let mut seen = store::imports::known_hashes(tx, permit.workspace(), &hashes)?;
    let ids = imported.iter().map(|key| seen.insert(key.hash.as_bytes().to_vec()).then(KeyId::generate));
    Ok(ids.collect())
}

/// Stores keys with everything that they need, each kind of thing in one statement.
fn store_all(
    tx: &mut Tx<'_>,
    permit: &Permit,
    api: &ApiId,
    pending: Option<&MigrationId>,
    fresh: &[(&ImportKey, &KeyId)],
) -> Result<HashSet<KeyId>> {
    let owners: BTreeSet<_> = fresh.iter().filter_map(|(key, _)| key.external_id.clone()).collect();
    let owners = identities::ensure_all(tx, permit, &owners)?;
    let roles = roles::ensure(tx, permit, &distinct(fresh, |key| &key.roles))?;
    let permissions = permissions::ensure(tx, permit, &distinct(fresh, |key| &key.permissions))?;
    let rows: Vec<_> = fresh
        .iter()
        .map(|(key, id)| NewImport {
            id,
            hash: &key.hash,
            name: key.name.as_deref(),
            meta: key.meta.as_ref(),
            enabled: key.enabled,
            expires_at: key.expires_at,
            identity_id: key.external_id.as_ref().and_then(|name| owners.get(name)),
        })
        .collect();
    let stored = store::imports::insert_keys(tx, permit, api, pending, &rows)?;
    let held: Vec<_> = fresh.iter().copied().filter(|(_, id)| stored.contains(*id)).collect();
    store::links::connect_keys(tx, permit, Held::Permissions, &links(&held, &permissions, |key| &key.permissions))?;
    store::links::connect_keys(tx, permit, Held::Roles, &links(&held, &roles, |key| &key.roles))?;
    limit_all(tx, permit, &held)?;
    Ok(stored)
}

/// Gives imported keys their credits and rate limits.
fn limit_all(tx: &mut Tx<'_>, permit: &Permit, held: &[(&ImportKey, &KeyId)]) -> Result<()> {
    let now = tx.now();
    let credits = held.iter().filter_map(|(key, id)| key.credits?.of(id, permit.workspace(), now));
    store::credits::insert(tx, permit, &credits.collect::<Vec<_>>())?;
    let limits: Vec<_> =
        held.iter().map(|(key, id)| (Limited::Key(id), rate_limits::last_of_each(key.limits.clone()))).collect();
    let limits = limits.iter().flat_map(|(id, limits)| limits.iter().map(|defined| (*id, defined)));
    store::rate_limits::insert(tx, permit, &limits.collect::<Vec<_>>(), false)?;
    Ok(())
}

fn distinct(fresh: &[(&ImportKey, &KeyId)], of: fn(&ImportKey) -> &Vec<String>) -> Vec<String> {
    let all: BTreeSet<&String> = fresh.iter().flat_map(|(key, _)| of(key)).collect();
    all.into_iter().cloned().collect()
}

fn links<'a>(
    held: &[(&'a ImportKey, &'a KeyId)],
    targets: &'a Named,
    of: fn(&ImportKey) -> &Vec<String>,
) -> Vec<Link<'a>> {
    let links = held.iter().flat_map(|(key, id)| {
        let labels: BTreeSet<&str> = of(key).iter().map(String::as_str).collect();
        let entries = labels.into_iter().filter_map(|label| targets.get_key_value(label));
        entries.map(|(label, target)| Link { key: id, label, target }).collect::<Vec<_>>()
    });
    links.collect()
}
