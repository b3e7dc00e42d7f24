//! Keys.

use crate::authz::caller::Permit;
use crate::model::api::Api;
use crate::model::audit::Changed;
use crate::model::audit::FieldChange;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::credits::Credits;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::key::FullKey;
use crate::model::key::Key;
use crate::model::key::KeyChanges;
use crate::model::key::NewKey;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::permission::Access;
use crate::model::rate_limit::Limits;
use crate::model::schema::apis;
use crate::model::schema::credits;
use crate::model::schema::identities;
use crate::model::schema::keys;
use crate::model::schema::sealed_keys;
use crate::model::secret::Hash;
use crate::store::access;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::JoinOnDsl;
use diesel::NullableExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Array;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

type Row = (Key, Api, Option<Identity>, Access, Option<Credits>, Limits);

/// Live keys of live APIs, joined and selected as [`Row`]. A macro, since the type of such a query cannot be written down.
macro_rules! full {
    () => {
        keys::table
            .inner_join(apis::table)
            .left_join(
                identities::table
                    .on(keys::identity_id.eq(identities::id.nullable()).and(identities::deleted_at.is_null())),
            )
            .filter(keys::deleted_at.is_null())
            .filter(apis::deleted_at.is_null())
            .left_join(credits::table)
            .select((
                Key::as_select(),
                Api::as_select(),
                Option::<Identity>::as_select(),
                access::of_key(),
                Option::<Credits>::as_select(),
                access::limits_of_key(),
            ))
    };
}

fn full_key((key, api, identity, access, credits, limits): Row) -> FullKey {
    FullKey { key, api, identity, access, credits, limits }
}

/// What names a key in a request.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Its id.
    Id(&'a KeyId),
    /// The hash of its plaintext.
    Hash(&'a Hash),
}

/// Stores a key.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, new: &NewKey<'_>) -> QueryResult<()> {
    debug_assert_eq!(permit.workspace(), new.workspace_id);
    diesel::insert_into(keys::table).values(new).execute(tx.connection)?;
    tx.changed(Change::NewKeys(permit.workspace().clone()));
    record(
        tx,
        permit,
        Event::KeyCreate,
        format!("created key {}", new.id),
        vec![key_resource(new.id, new.name), Resource::new("api", new.api_id, None)],
        Changed::of(new.id),
    );
    Ok(())
}

/// A live key of a live API of a workspace, with everything that answers show.
///
/// # Errors
/// Whatever the database says.
pub fn find(tx: &mut Tx<'_>, workspace: &WorkspaceId, by: By<'_>) -> QueryResult<Option<FullKey>> {
    let query = full!().filter(keys::workspace_id.eq(workspace)).into_boxed();
    let row = match by {
        By::Id(id) => query.filter(keys::id.eq(id)).first::<Row>(tx.connection),
        // While an import is pending, its hash is one of a part of the key, which is not the key.
        By::Hash(hash) => query
            .filter(keys::hash.eq(hash.as_bytes()))
            .filter(keys::pending_migration_id.is_null())
            .first::<Row>(tx.connection),
    };
    Ok(row.optional()?.map(full_key))
}

/// [`find`] by id for a transaction that goes on to change the key: others wait until it is done, and the API stays.
///
/// # Errors
/// Whatever the database says.
pub fn find_for_update(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &KeyId) -> QueryResult<Option<FullKey>> {
    let api: Option<ApiId> = keys::table
        .filter(keys::id.eq(id))
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::deleted_at.is_null())
        .select(keys::api_id)
        .first(tx.connection)
        .optional()?;
    // The API first, as whoever deletes an API has it: one order for all, no deadlock.
    let Some(_) = api.map_or(Ok(None), |api| crate::store::apis::find_for_share(tx, workspace, &api))? else {
        return Ok(None);
    };
    let locked: Option<KeyId> = keys::table
        .filter(keys::id.eq(id))
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::deleted_at.is_null())
        .select(keys::id)
        .for_update()
        .first(tx.connection)
        .optional()?;
    // Read again under the lock: what it was before may have been changed by whoever held it.
    locked.map_or(Ok(None), |id| find(tx, workspace, By::Id(&id)))
}

/// A page of the live keys of an API, of one owner if `external_id` names one.
///
/// # Errors
/// Whatever the database says.
pub fn list(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    api: &ApiId,
    external_id: Option<&str>,
    page: &PageRequest,
) -> QueryResult<Vec<FullKey>> {
    let mut query = full!()
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::api_id.eq(api))
        .order(keys::id)
        .limit(page.fetch())
        .into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(keys::id.ge(cursor));
    }
    if let Some(external_id) = external_id {
        query = query.filter(identities::external_id.eq(external_id));
    }
    Ok(query.load::<Row>(tx.connection)?.into_iter().map(full_key).collect())
}

/// How many live keys of live APIs a workspace has.
///
/// # Errors
/// Whatever the database says.
pub fn count(tx: &mut Tx<'_>, workspace: &WorkspaceId) -> QueryResult<i64> {
    keys::table
        .inner_join(apis::table)
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::deleted_at.is_null())
        .filter(apis::deleted_at.is_null())
        .count()
        .get_result(tx.connection)
}

/// The workspace of a live key, for the operator.
///
/// # Errors
/// Whatever the database says.
pub fn workspace_of(tx: &mut Tx<'_>, id: &KeyId) -> QueryResult<Option<WorkspaceId>> {
    let live = keys::table.find(id).filter(keys::deleted_at.is_null());
    live.select(keys::workspace_id).first(tx.connection).optional()
}

/// Changes a live key, which moves its `updatedAt` even if nothing else changes (decisions.md #36). `beside` is what was changed
/// of it elsewhere and belongs into the same audit row.
///
/// # Errors
/// Whatever the database says.
pub fn update(
    tx: &mut Tx<'_>,
    permit: &Permit,
    key: &Key,
    changes: &KeyChanges,
    beside: Vec<FieldChange>,
) -> QueryResult<()> {
    apply(tx, permit, key, changes)?;
    let display = format!("updated key {}", key.id);
    let resources = vec![key_resource(&key.id, key.name.as_deref()), Resource::new("api", &key.api_id, None)];
    let mut event =
        AuditEvent::new(permit.workspace(), Event::KeyUpdate, display, resources).changing(changed(key, changes));
    event.changes.extend(beside);
    tx.record(Change::Key(key.id.clone()), event);
    Ok(())
}

/// Moves a key's `updatedAt` because what it holds has changed; the audit rows are those of the links.
///
/// # Errors
/// Whatever the database says.
pub fn stamp(tx: &mut Tx<'_>, permit: &Permit, key: &Key) -> QueryResult<()> {
    tx.changed(Change::Key(key.id.clone()));
    apply(tx, permit, key, &KeyChanges::default())
}

/// Ends an old key's life at the given moment because a new one takes its place.
///
/// # Errors
/// Whatever the database says.
pub fn replace(
    tx: &mut Tx<'_>,
    permit: &Permit,
    old: &Key,
    new: &KeyId,
    expires_at: Option<Timestamp>,
) -> QueryResult<()> {
    let changes = KeyChanges { expires_at: Some(expires_at), ..KeyChanges::default() };
    apply(tx, permit, old, &changes)?;
    record(
        tx,
        permit,
        Event::KeyReroll,
        format!("rerolled key {} to {new}", old.id),
        vec![
            key_resource(new, old.name.as_deref()),
            key_resource(&old.id, old.name.as_deref()),
            Resource::new("api", &old.api_id, None),
        ],
        changed(old, &changes),
    );
    tx.changed(Change::Key(old.id.clone()));
    Ok(())
}

/// Deletes a live key: marks it, or erases it so that its hash is free again. Its sealed copy goes in either case.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, key: &Key, permanent: bool) -> QueryResult<()> {
    let now = tx.now();
    diesel::delete(sealed_keys::table.find(&key.id)).execute(tx.connection)?;
    let row = keys::table.filter(keys::id.eq(&key.id)).filter(keys::workspace_id.eq(permit.workspace()));
    if permanent {
        diesel::delete(row).execute(tx.connection)?;
    } else {
        diesel::update(row).set(keys::deleted_at.eq(now)).execute(tx.connection)?;
    }
    let verb = if permanent { "permanently deleted" } else { "deleted" };
    record(
        tx,
        permit,
        Event::KeyDelete,
        format!("{verb} key {}", key.id),
        vec![key_resource(&key.id, key.name.as_deref()), Resource::new("api", &key.api_id, None)],
        Changed::of(&key.id),
    );
    Ok(())
}

/// Writes when keys were last used. Not a change: nobody forgets anything for it, and nothing is audited.
///
/// # Errors
/// Whatever the database says.
pub fn touch(tx: &mut Tx<'_>, used: &[(KeyId, Timestamp)]) -> QueryResult<usize> {
    let (ids, times): (Vec<_>, Vec<_>) = used.iter().map(|(id, at)| (id.as_str(), *at)).unzip();
    diesel::sql_query(
        "UPDATE keys SET last_used_at = used.at \
         FROM (SELECT * FROM unnest($1, $2) AS used (id, at) ORDER BY id) AS used \
         WHERE keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)",
    )
    .bind::<Array<Text>, _>(ids)
    .bind::<Array<Timestamptz>, _>(times)
    .execute(tx.connection)
}

fn apply(tx: &mut Tx<'_>, permit: &Permit, key: &Key, changes: &KeyChanges) -> QueryResult<()> {
    let now = tx.now();
    diesel::update(keys::table.filter(keys::id.eq(&key.id)).filter(keys::workspace_id.eq(permit.workspace())))
        .set((changes, keys::updated_at.eq(now)))
        .execute(tx.connection)?;
    Ok(())
}

fn key_resource(id: &KeyId, name: Option<&str>) -> Resource {
    Resource::new("key", id, name)
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, display: String, resources: Vec<Resource>, changed: Changed) {
    let Some(id) = resources.first().map(|resource| KeyId::from_text(&resource.id)) else { return };
    tx.record(Change::Key(id), AuditEvent::new(permit.workspace(), event, display, resources).changing(changed));
}

/// What decides on a key. The key was read under its lock.
fn changed(key: &Key, changes: &KeyChanges) -> Changed {
    Changed::of(&key.id)
        .field("enabled", &key.enabled, changes.enabled.as_ref())
        .nullable("expires", &key.expires_at, changes.expires_at.as_ref())
        .nullable("owner", &key.identity_id, changes.identity_id.as_ref())
}
