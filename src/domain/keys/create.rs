//! `keys.createKey` (keys.md section 5, decisions.md rule 5).

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::authz::caller::Permit;
use crate::domain::apis;
use crate::domain::identities;
use crate::domain::keys;
use crate::domain::keys::credits::NewCredits;
use crate::domain::keys::recover;
use crate::domain::permissions;
use crate::domain::rate_limits;
use crate::domain::roles;
use crate::model::clock::Timestamp;
use crate::model::code::Code;
use crate::model::credits::Credits;
use crate::model::error::Error;
use crate::model::error::Refusal;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::key::DEFAULT_BYTE_LENGTH;
use crate::model::key::NewKey;
use crate::model::master_key::MasterKeys;
use crate::model::meta::Meta;
use crate::model::rate_limit::Defined;
use crate::model::secret::Plaintext;
use crate::store;
use crate::store::links::Held;
use crate::store::links::Holder;
use crate::store::links::Named;
use crate::store::rate_limits::Limited;
use crate::store::tx::Tx;

/// A key to be made. What the API has a default for may be left out.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// The API that it will belong to.
    pub api_id: ApiId,
    /// Text before the random part and an underscore.
    pub prefix: Option<String>,
    /// Random bytes, 16 to 255.
    pub byte_length: Option<i32>,
    /// A label.
    pub name: Option<String>,
    /// Free-form metadata.
    pub meta: Option<Meta>,
    /// End of its life; a moment of the past makes a key that is expired.
    pub expires_at: Option<Timestamp>,
    /// Whether it verifies.
    pub enabled: bool,
    /// Whether a sealed copy is kept.
    pub recoverable: bool,
    /// Its owner; made if there is none of this name.
    pub external_id: Option<String>,
    /// Slugs of the permissions that it is given; those that are missing are made.
    pub permissions: Vec<String>,
    /// Names of the roles that it is given; all of them exist.
    pub roles: Vec<String>,
    /// How often it may be used; `None` is unlimited.
    pub credits: Option<NewCredits>,
    /// Its rate limits; of a name that comes twice the last one counts.
    pub limits: Vec<Defined>,
}

/// A key that was made. The plaintext is not shown again, unless it is recoverable.
#[derive(Debug)]
pub struct Created {
    /// Its id.
    pub id: KeyId,
    /// The key itself.
    pub plaintext: Plaintext,
}

/// Makes a key.
///
/// # Errors
/// In this order: `insufficient_permissions`, `invalid_input` (metadata too large, refills of an unlimited key),
/// `api_not_found`, `precondition_failed` (recoverable, but no master key or the API has not opted in), `keys_limit_exceeded`,
/// `role_not_found`.
pub fn create(tx: &mut Tx<'_>, caller: &Caller, master_keys: &MasterKeys, new: &CreateKey) -> Result<Created> {
    let also: &[Action] = if new.recoverable { &[Action::EncryptKey] } else { &[] };
    let permit = caller.permit_also(On::Api(&new.api_id), also)?;
    keys::check_meta(new.meta.as_ref())?;
    if let Some(credits) = new.credits {
        credits.check("body.credits")?;
    }
    let api = store::apis::find_for_share(tx, permit.workspace(), &new.api_id)?.ok_or_else(apis::not_found)?;
    if new.recoverable {
        recover::check_possible(master_keys, &api)?;
    }
    check_limit(tx, &permit, 1)?;
    let made = CreateKey {
        prefix: new.prefix.clone().or(api.default_prefix),
        byte_length: new.byte_length.or(api.default_bytes),
        ..new.clone()
    };
    let identity =
        new.external_id.as_ref().map(|external_id| identities::ensure(tx, &permit, external_id)).transpose()?;
    let roles = roles::all_named(tx, &permit, &new.roles)?;
    let permissions = permissions::ensure(tx, &permit, &new.permissions)?;
    let created = make(tx, &permit, master_keys, &made, identity.as_ref())?;
    give(tx, &permit, &created.id, &permissions, &roles)?;
    let credits = new.credits.and_then(|credits| credits.of(&created.id, permit.workspace(), tx.now()));
    limit(tx, &permit, &created.id, credits, &rate_limits::last_of_each(new.limits.clone()))?;
    Ok(created)
}

/// Gives a new key its permissions and roles.
///
/// # Errors
/// Only the database's.
pub(super) fn give(tx: &mut Tx<'_>, permit: &Permit, key: &KeyId, permissions: &Named, roles: &Named) -> Result<()> {
    store::links::set(tx, permit, Holder::Key(key), Held::Permissions, permissions)?;
    store::links::set(tx, permit, Holder::Key(key), Held::Roles, roles)?;
    Ok(())
}

/// Gives a new key its credits and rate limits.
///
/// # Errors
/// Only the database's.
pub(super) fn limit(
    tx: &mut Tx<'_>,
    permit: &Permit,
    key: &KeyId,
    credits: Option<Credits>,
    limits: &[Defined],
) -> Result<()> {
    store::credits::insert(tx, permit, credits.as_slice())?;
    let limits: Vec<_> = limits.iter().map(|defined| (Limited::Key(key), defined)).collect();
    store::rate_limits::insert(tx, permit, &limits, true)?;
    Ok(())
}

/// Refuses more keys than the workspace may have: all of these or none.
///
/// # Errors
/// `keys_limit_exceeded`.
pub(super) fn check_limit(tx: &mut Tx<'_>, permit: &Permit, more: usize) -> Result<()> {
    let Some(most) = store::workspaces::lock_keys_max(tx, permit)? else { return Ok(()) };
    let count = store::keys::count(tx, permit.workspace())?;
    let more = i64::try_from(more).unwrap_or(i64::MAX);
    if count.saturating_add(more) <= most {
        return Ok(());
    }
    let reached =
        if more == 1 { "has them".to_owned() } else { format!("has {count}; this request makes {more} more") };
    Err(Error::new(
        Code::KeysLimitExceeded,
        format!(
            "This workspace may have {most} keys (its limit keysMax) and {reached}. Delete keys that are not needed, or \
             ask the operator to raise the limit with `keyward workspace limit WORKSPACE --keys N`."
        ),
    )
    .refusing(Refusal::KeysLimit { most, wanted: count.saturating_add(more) }))
}

/// Makes a key of exactly this shape, for a caller who was found to be allowed to.
///
/// # Errors
/// Only faults.
pub(super) fn make(
    tx: &mut Tx<'_>,
    permit: &Permit,
    master_keys: &MasterKeys,
    new: &CreateKey,
    identity: Option<&IdentityId>,
) -> Result<Created> {
    let byte_length = new.byte_length.unwrap_or(DEFAULT_BYTE_LENGTH);
    let plaintext = Plaintext::generate(new.prefix.as_deref(), u8::try_from(byte_length).map_err(Error::unexpected)?)?;
    let id = KeyId::generate();
    let hash = plaintext.hash();
    let row = NewKey {
        id: &id,
        workspace_id: permit.workspace(),
        api_id: &new.api_id,
        hash: hash.as_bytes(),
        start: plaintext.start(new.prefix.as_deref()),
        prefix: new.prefix.as_deref(),
        byte_length: Some(byte_length),
        name: new.name.as_deref(),
        meta: new.meta.as_ref(),
        enabled: new.enabled,
        expires_at: new.expires_at,
        created_at: tx.now(),
        identity_id: identity,
    };
    store::keys::insert(tx, permit, &row)?;
    if new.recoverable {
        recover::seal(tx, permit, master_keys, &id, &plaintext)?;
    }
    Ok(Created { id, plaintext })
}
