//! Root keys.

use crate::authz::caller::Permit;
use crate::model::audit::Changed;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::page::PageRequest;
use crate::model::root_key::NewRootKey;
use crate::model::root_key::RootKey;
use crate::model::root_key::RootKeyChanges;
use crate::model::schema::root_keys;
use crate::model::schema::workspaces;
use crate::model::secret::Hash;
use crate::model::workspace::Workspace;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::JoinOnDsl;
use diesel::NullableExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgArrayExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Array;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

/// The live root keys of a workspace. A macro, since the type of such a query cannot be written down.
macro_rules! live {
    ($workspace:expr) => {
        root_keys::table.filter(root_keys::workspace_id.eq($workspace)).filter(root_keys::deleted_at.is_null())
    };
}

/// The live root key with this hash, and its workspace: all that authentication needs, in one SELECT.
///
/// # Errors
/// Whatever the database says.
pub fn authenticate(tx: &mut Tx<'_>, hash: &Hash) -> QueryResult<Option<(RootKey, Workspace)>> {
    root_keys::table
        .inner_join(workspaces::table.on(workspaces::id.eq(root_keys::workspace_id)))
        .filter(root_keys::hash.eq(hash.as_bytes()))
        .filter(root_keys::deleted_at.is_null())
        .select((RootKey::as_select(), Workspace::as_select()))
        .first(tx.connection)
        .optional()
}

/// [`authenticate`] for many at once.
///
/// # Errors
/// Whatever the database says.
pub fn authenticate_all(tx: &mut Tx<'_>, hashes: &[Hash]) -> QueryResult<Vec<(Hash, RootKey, Workspace)>> {
    let hashes: Vec<_> = hashes.iter().map(Hash::as_bytes).collect();
    let rows: Vec<(Vec<u8>, RootKey, Workspace)> = root_keys::table
        .inner_join(workspaces::table.on(workspaces::id.eq(root_keys::workspace_id)))
        .filter(root_keys::hash.eq_any(hashes))
        .filter(root_keys::deleted_at.is_null())
        .select((root_keys::hash, RootKey::as_select(), Workspace::as_select()))
        .load(tx.connection)?;
    let named = rows
        .into_iter()
        .filter_map(|(hash, root_key, workspace)| Some((Hash::from_bytes(hash.try_into().ok()?), root_key, workspace)));
    Ok(named.collect())
}

/// Stores a root key unless its hash is stored already, deleted or not; says whether it did.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, new: &NewRootKey<'_>) -> QueryResult<bool> {
    let inserted = diesel::insert_into(root_keys::table)
        .values(new)
        .on_conflict(root_keys::hash)
        .do_nothing()
        .execute(tx.connection)?;
    if inserted == 0 {
        return Ok(false);
    }
    let display = format!("created root key {}{}", new.id, moved(&[], new.permissions));
    record(tx, permit, Event::RootKeyCreate, display, vec![resource(new.id, new.name)], Changed::of(new.id));
    Ok(true)
}

/// The live root keys of a workspace, or of all, oldest first.
///
/// # Errors
/// Whatever the database says.
pub fn list(tx: &mut Tx<'_>, workspace: Option<&WorkspaceId>) -> QueryResult<Vec<RootKey>> {
    let mut query = root_keys::table
        .filter(root_keys::deleted_at.is_null())
        .order(root_keys::id)
        .select(RootKey::as_select())
        .into_boxed();
    if let Some(workspace) = workspace {
        query = query.filter(root_keys::workspace_id.eq(workspace));
    }
    query.load(tx.connection)
}

/// A page of the live root keys of a workspace.
///
/// # Errors
/// Whatever the database says.
pub fn page(tx: &mut Tx<'_>, workspace: &WorkspaceId, page: &PageRequest) -> QueryResult<Vec<RootKey>> {
    let mut query = live!(workspace).order(root_keys::id).limit(page.fetch()).select(RootKey::as_select()).into_boxed();
    if let Some(cursor) = &page.cursor {
        query = query.filter(root_keys::id.ge(cursor));
    }
    query.load(tx.connection)
}

/// A live root key of a workspace.
///
/// # Errors
/// Whatever the database says.
pub fn find(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &RootKeyId) -> QueryResult<Option<RootKey>> {
    live!(workspace).filter(root_keys::id.eq(id)).select(RootKey::as_select()).first(tx.connection).optional()
}

/// How many live root keys a workspace has, disabled and expired ones among them.
///
/// # Errors
/// Whatever the database says.
pub fn count(tx: &mut Tx<'_>, workspace: &WorkspaceId) -> QueryResult<i64> {
    live!(workspace).count().get_result(tx.connection)
}

/// Whether a workspace has an enabled and unexpired root key, other than this one, that holds a tuple.
///
/// # Errors
/// Whatever the database says.
pub fn another_holds(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &RootKeyId, tuple: &str) -> QueryResult<bool> {
    let now = tx.now();
    let others = live!(workspace)
        .filter(root_keys::id.ne(id))
        .filter(root_keys::enabled)
        .filter(root_keys::expires_at.is_null().or(root_keys::expires_at.gt(now)).assume_not_null())
        .filter(root_keys::permissions.contains(vec![tuple]));
    diesel::select(diesel::dsl::exists(others)).get_result(tx.connection)
}

/// The workspace of a live root key.
///
/// # Errors
/// Whatever the database says.
pub fn workspace_of(tx: &mut Tx<'_>, id: &RootKeyId) -> QueryResult<Option<WorkspaceId>> {
    root_keys::table
        .find(id)
        .filter(root_keys::deleted_at.is_null())
        .select(root_keys::workspace_id)
        .first(tx.connection)
        .optional()
}

/// The workspace of a root key with this hash, and whether the root key was deleted.
///
/// # Errors
/// Whatever the database says.
pub fn find_hash(tx: &mut Tx<'_>, hash: &Hash) -> QueryResult<Option<(RootKeyId, WorkspaceId, bool)>> {
    root_keys::table
        .filter(root_keys::hash.eq(hash.as_bytes()))
        .select((root_keys::id, root_keys::workspace_id, root_keys::deleted_at.is_not_null()))
        .first(tx.connection)
        .optional()
}

/// Deletes a live root key; says whether there was one.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, permit: &Permit, id: &RootKeyId) -> QueryResult<bool> {
    let now = tx.now();
    let deleted = diesel::update(live!(permit.workspace()).filter(root_keys::id.eq(id)))
        .set(root_keys::deleted_at.eq(now))
        .returning((root_keys::name, root_keys::permissions))
        .get_result::<(Option<String>, Vec<String>)>(tx.connection)
        .optional()?;
    let Some((name, permissions)) = deleted else { return Ok(false) };
    let display = format!("deleted root key {id}{}", moved(&permissions, &[]));
    record(tx, permit, Event::RootKeyDelete, display, vec![resource(id, name.as_deref())], Changed::of(id));
    Ok(true)
}

/// Changes a live root key, which moves its `updatedAt` even if nothing else changes; says whether there was one.
///
/// # Errors
/// Whatever the database says.
pub fn update(tx: &mut Tx<'_>, permit: &Permit, old: &RootKey, changes: &RootKeyChanges) -> QueryResult<bool> {
    if !apply(tx, permit, &old.id, changes)? {
        return Ok(false);
    }
    let mut display = format!("updated root key {}", old.id);
    match changes.enabled {
        Some(true) if !old.enabled => display.push_str("; enabled"),
        Some(false) if old.enabled => display.push_str("; disabled"),
        Some(_) | None => {}
    }
    if let Some(permissions) = &changes.permissions {
        display.push_str(&moved(&old.permissions, permissions));
    }
    let name = changes.name.as_ref().unwrap_or(&old.name).as_deref();
    record(tx, permit, Event::RootKeyUpdate, display, vec![resource(&old.id, name)], changed(old, changes));
    Ok(true)
}

/// Ends an old root key's life at the given moment because a new one takes its place; says whether it was there.
///
/// # Errors
/// Whatever the database says.
pub fn replace(
    tx: &mut Tx<'_>,
    permit: &Permit,
    old: &RootKey,
    new: &RootKeyId,
    expires_at: Option<Timestamp>,
) -> QueryResult<bool> {
    let changes = RootKeyChanges { expires_at: Some(expires_at), ..RootKeyChanges::default() };
    if !apply(tx, permit, &old.id, &changes)? {
        return Ok(false);
    }
    let name = old.name.as_deref();
    let display = format!("rerolled root key {} to {new}{}", old.id, moved(&[], &old.permissions));
    let resources = vec![resource(&old.id, name), resource(new, name)];
    record(tx, permit, Event::RootKeyReroll, display, resources, changed(old, &changes));
    Ok(true)
}

/// Writes when root keys were last used. Not a change: nobody forgets anything for it, and nothing is audited.
///
/// # Errors
/// Whatever the database says.
pub fn touch(tx: &mut Tx<'_>, used: &[(RootKeyId, Timestamp)]) -> QueryResult<usize> {
    let (ids, times): (Vec<_>, Vec<_>) = used.iter().map(|(id, at)| (id.as_str(), *at)).unzip();
    diesel::sql_query(
        "UPDATE root_keys SET last_used_at = used.at \
         FROM (SELECT * FROM unnest($1, $2) AS used (id, at) ORDER BY id) AS used \
         WHERE root_keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)",
    )
    .bind::<Array<Text>, _>(ids)
    .bind::<Array<Timestamptz>, _>(times)
    .execute(tx.connection)
}

fn apply(tx: &mut Tx<'_>, permit: &Permit, id: &RootKeyId, changes: &RootKeyChanges) -> QueryResult<bool> {
    let now = tx.now();
    let changed = diesel::update(live!(permit.workspace()).filter(root_keys::id.eq(id)))
        .set((changes, root_keys::updated_at.eq(now)))
        .execute(tx.connection)?;
    Ok(changed > 0)
}

/// What became of the permissions, for the audit log.
fn moved(before: &[String], after: &[String]) -> String {
    let only = |some: &[String], others: &[String]| {
        some.iter().filter(|tuple| !others.contains(tuple)).cloned().collect::<Vec<_>>().join(", ")
    };
    let said = |verb: &str, tuples: String| if tuples.is_empty() { tuples } else { format!("; {verb} {tuples}") };
    said("added", only(after, before)) + &said("removed", only(before, after))
}

fn resource(id: &RootKeyId, name: Option<&str>) -> Resource {
    Resource::new("rootKey", id, name)
}

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, display: String, resources: Vec<Resource>, changed: Changed) {
    for resource in &resources {
        tx.changed(Change::RootKey(RootKeyId::from_text(&resource.id)));
    }
    tx.note(AuditEvent::new(permit.workspace(), event, display, resources).changing(changed));
}

/// What decides on a root key, and its name. The root key was read under the lock of its workspace.
fn changed(old: &RootKey, changes: &RootKeyChanges) -> Changed {
    Changed::of(&old.id)
        .field("enabled", &old.enabled, changes.enabled.as_ref())
        .nullable("name", &old.name, changes.name.as_ref())
        .field("permissions", &old.permissions, changes.permissions.as_ref())
        .nullable("expires", &old.expires_at, changes.expires_at.as_ref())
}
