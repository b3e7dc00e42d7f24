//! `keys.getKey`, `keys.whoami`, `apis.listKeys` (keys.md section 10, apis.md).

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::domain::apis;
use crate::domain::keys;
use crate::domain::keys::recover;
use crate::model::clock::Timestamp;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::key::FullKey;
use crate::model::master_key::MasterKeys;
use crate::model::page::Page;
use crate::model::page::PageRequest;
use crate::model::secret::Hash;
use crate::model::secret::Plaintext;
use crate::store;
use crate::store::keys::By;
use crate::store::tx::Tx;

/// A key as the caller may see it.
#[derive(Debug)]
pub struct Shown {
    /// The key.
    pub key: FullKey,
    /// Its plaintext, if asked for, allowed and kept.
    pub plaintext: Option<Plaintext>,
}

/// Reads a key. With `decrypt` the transaction must be a writing one: showing a secret is audited.
///
/// # Errors
/// `insufficient_permissions` or `key_not_found` by the rules of "Who may know what"; with `decrypt`
/// `precondition_failed` where no key is recoverable.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, master_keys: &MasterKeys, id: &KeyId, decrypt: bool) -> Result<Shown> {
    let also: &[Action] = if decrypt { &[Action::DecryptKey] } else { &[] };
    caller.somewhere(also)?;
    let key = store::keys::find(tx, &caller.workspace, By::Id(id))?.ok_or_else(keys::not_found)?;
    let permit = caller.permit_inside(&key.api.id, also, Action::ReadKey, keys::not_found)?;
    let plaintext = if decrypt { recover::open_one(tx, &permit, master_keys, &key)? } else { None };
    Ok(Shown { key: refilled(key, tx.now()), plaintext })
}

/// The key with this plaintext; works for disabled and expired ones too.
///
/// # Errors
/// `insufficient_permissions` without any `read_key`, else one `key_not_found` for everything (decisions.md #31).
pub fn whoami(tx: &mut Tx<'_>, caller: &Caller, hash: &Hash) -> Result<FullKey> {
    caller.somewhere(&[])?;
    let key = store::keys::find(tx, &caller.workspace, By::Hash(hash))?.ok_or_else(keys::not_found)?;
    if caller.covers(Action::ReadKey, &key.api.id) { Ok(refilled(key, tx.now())) } else { Err(keys::not_found()) }
}

/// A page of an API's keys, of one owner if `external_id` names one. With `decrypt` the transaction must be a writing one: showing secrets is audited.
///
/// # Errors
/// `insufficient_permissions`, `api_not_found`; with `decrypt` `precondition_failed` where no key is recoverable.
pub fn list(
    tx: &mut Tx<'_>,
    caller: &Caller,
    master_keys: &MasterKeys,
    api: &ApiId,
    external_id: Option<&str>,
    decrypt: bool,
    request: &PageRequest,
) -> Result<Page<Shown>> {
    let also: &[Action] = if decrypt { &[Action::DecryptKey] } else { &[] };
    let permit = caller.permit_also(On::Api(api), also)?;
    let api = store::apis::find(tx, permit.workspace(), api)?.ok_or_else(apis::not_found)?;
    if decrypt {
        recover::check_possible(master_keys, &api)?;
    }
    let rows = store::keys::list(tx, permit.workspace(), &api.id, external_id, request)?;
    let page = Page::cut(rows, request, |row| row.key.id.as_str());
    let mut opened = if decrypt {
        recover::open(tx, &permit, master_keys, &page.rows.iter().map(|row| &row.key.id).collect::<Vec<_>>())?
    } else {
        std::collections::HashMap::new()
    };
    let now = tx.now();
    Ok(page.map(|key| Shown { plaintext: opened.remove(&key.key.id), key: refilled(key, now) }))
}

/// The key with the balance that a spend would find.
fn refilled(key: FullKey, now: Timestamp) -> FullKey {
    FullKey { credits: key.credits.map(|credits| credits.settled(now)), ..key }
}
