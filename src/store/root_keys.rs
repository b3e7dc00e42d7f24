//! Root keys.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::root_key::NewRootKey;
use crate::model::root_key::RootKey;
use crate::model::schema::root_keys;
use crate::model::schema::workspaces;
use crate::model::secret::Hash;
use crate::model::workspace::Workspace;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::JoinOnDsl;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Array;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

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
    record(tx, permit, Event::RootKeyCreate, "created", new.id, new.name);
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
    let name = diesel::update(
        root_keys::table
            .filter(root_keys::id.eq(id))
            .filter(root_keys::workspace_id.eq(permit.workspace()))
            .filter(root_keys::deleted_at.is_null()),
    )
    .set(root_keys::deleted_at.eq(now))
    .returning(root_keys::name)
    .get_result::<Option<String>>(tx.connection)
    .optional()?;
    let Some(name) = name else { return Ok(false) };
    record(tx, permit, Event::RootKeyDelete, "deleted", id, name.as_deref());
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

fn record(tx: &mut Tx<'_>, permit: &Permit, event: Event, verb: &str, id: &RootKeyId, name: Option<&str>) {
    tx.record(
        Change::RootKey(id.clone()),
        AuditEvent {
            workspace: permit.workspace().clone(),
            event,
            display: format!("{verb} root key {id}"),
            resources: vec![Resource::new("rootKey", id, name)],
        },
    );
}
