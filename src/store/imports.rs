//! Imports: migrations, keys that come many at once with a foreign hash, and the first verification that makes one native.

use crate::authz::caller::Permit;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::MigrationId;
use crate::model::id::WorkspaceId;
use crate::model::key::Key;
use crate::model::meta::Meta;
use crate::model::migration::Migration;
use crate::model::migration::PrefixedKey;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::schema::keys;
use crate::model::schema::migrations;
use crate::model::secret::Hash;
use crate::store::tx::AuditEvent;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Array;
use diesel::sql_types::Binary;
use diesel::sql_types::Bool;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;
use std::collections::HashSet;

/// A key that is about to be imported.
#[expect(missing_debug_implementations, reason = "holds a hash")]
#[expect(missing_docs, reason = "the columns of Key")]
pub struct NewImport<'a> {
    pub id: &'a KeyId,
    pub hash: &'a Hash,
    pub name: Option<&'a str>,
    pub meta: Option<&'a Meta>,
    pub enabled: bool,
    pub expires_at: Option<Timestamp>,
    pub identity_id: Option<&'a IdentityId>,
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Text)]
    id: KeyId,
}

/// Stores a migration.
///
/// # Errors
/// Whatever the database says.
pub fn insert_migration(tx: &mut Tx<'_>, permit: &Permit, new: &Migration) -> QueryResult<()> {
    debug_assert_eq!(permit.workspace(), &new.workspace_id);
    diesel::insert_into(migrations::table).values(new).execute(tx.connection)?;
    let display = format!("created migration {}", new.id);
    let resources = vec![Resource::new("migration", &new.id, Some(&new.name))];
    tx.note(AuditEvent::new(permit.workspace(), Event::MigrationCreate, display, resources));
    Ok(())
}

/// A migration of a workspace.
///
/// # Errors
/// Whatever the database says.
pub fn find_migration(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &MigrationId) -> QueryResult<Option<Migration>> {
    migrations::table
        .filter(migrations::id.eq(id))
        .filter(migrations::workspace_id.eq(workspace))
        .select(Migration::as_select())
        .first(tx.connection)
        .optional()
}

/// Those of these hashes that the workspace has stored, for deleted keys too.
///
/// # Errors
/// Whatever the database says.
pub fn known_hashes(tx: &mut Tx<'_>, workspace: &WorkspaceId, hashes: &[Hash]) -> QueryResult<HashSet<Vec<u8>>> {
    let hashes: Vec<_> = hashes.iter().map(Hash::as_bytes).collect();
    let known: Vec<Vec<u8>> = keys::table
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::hash.eq_any(hashes))
        .select(keys::hash)
        .load(tx.connection)?;
    Ok(known.into_iter().collect())
}

/// Stores keys under foreign hashes; with `pending` they wait for their first verification. Returns those that were
/// stored: a hash that somebody else stored meanwhile is none of them.
///
/// # Errors
/// Whatever the database says.
pub fn insert_keys(
    tx: &mut Tx<'_>,
    permit: &Permit,
    api: &ApiId,
    pending: Option<&MigrationId>,
    new: &[NewImport<'_>],
) -> QueryResult<HashSet<KeyId>> {
    // Sorted, so that two imports of the same keys wait for each other instead of locking each other out.
    let mut sorted: Vec<_> = new.iter().collect();
    sorted.sort_by_key(|key| key.hash.as_bytes());
    let mut stored = HashSet::new();
    for keys in sorted.chunks(MAX_ROWS) {
        stored.extend(insert_some(tx, permit, api, pending, keys)?.into_iter().map(|row| row.id));
    }
    // One notification for all: what is remembered of these hashes is that there is no such key.
    let change = Change::NewKeys(permit.workspace().clone());
    for key in new.iter().filter(|key| stored.contains(key.id)) {
        let display = format!("imported key {}", key.id);
        let resources = vec![Resource::new("key", key.id, key.name), Resource::new("api", api, None)];
        tx.record(change.clone(), AuditEvent::new(permit.workspace(), Event::KeyCreate, display, resources));
    }
    Ok(stored)
}

fn insert_some(
    tx: &mut Tx<'_>,
    permit: &Permit,
    api: &ApiId,
    pending: Option<&MigrationId>,
    keys: &[&NewImport<'_>],
) -> QueryResult<Vec<Stored>> {
    diesel::sql_query(
        "INSERT INTO keys (id, workspace_id, api_id, hash, start, name, meta, enabled, expires_at, created_at, \
         identity_id, pending_migration_id) \
         SELECT id, $1, $2, hash, '', name, meta::json, enabled, expires_at, $3, identity_id, $4 \
         FROM unnest($5, $6, $7, $8, $9, $10, $11) AS row (id, hash, name, meta, enabled, expires_at, identity_id) \
         ORDER BY hash ON CONFLICT (workspace_id, hash) DO NOTHING RETURNING id",
    )
    .bind::<Text, _>(permit.workspace())
    .bind::<Text, _>(api)
    .bind::<Timestamptz, _>(tx.now())
    .bind::<Nullable<Text>, _>(pending)
    .bind::<Array<Text>, _>(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(keys.iter().map(|key| key.hash.as_bytes()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(keys.iter().map(|key| key.name).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(keys.iter().map(|key| key.meta.map(Meta::as_json)).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(keys.iter().map(|key| key.enabled).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(keys.iter().map(|key| key.expires_at).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(keys.iter().map(|key| key.identity_id).collect::<Vec<_>>())
    .load(tx.connection)
}

/// Makes an imported key native: from now on it is found by the hash of its whole text. Does nothing, and says so, if it
/// is pending no more, or if the workspace has another key with this text.
///
/// # Errors
/// Whatever the database says.
pub fn bind(
    tx: &mut Tx<'_>,
    permit: &Permit,
    key: &Key,
    migration: &MigrationId,
    presented: &PrefixedKey<'_>,
    whole: &Hash,
) -> QueryResult<bool> {
    let start = presented.start();
    let bound = diesel::sql_query(
        "UPDATE keys SET hash = $1, start = $2, prefix = $3, pending_migration_id = NULL, updated_at = $4 \
         WHERE id = $5 AND workspace_id = $6 AND pending_migration_id = $7 AND deleted_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM keys other WHERE other.workspace_id = $6 AND other.hash = $1)",
    )
    .bind::<Binary, _>(whole.as_bytes())
    .bind::<Text, _>(&start)
    .bind::<Nullable<Text>, _>(presented.prefix())
    .bind::<Timestamptz, _>(tx.now())
    .bind::<Text, _>(&key.id)
    .bind::<Text, _>(permit.workspace())
    .bind::<Text, _>(migration)
    .execute(tx.connection)?;
    if bound == 0 {
        return Ok(false);
    }
    tx.changed(Change::NewKeys(permit.workspace().clone()));
    tx.record(
        Change::Key(key.id.clone()),
        AuditEvent::new(
            permit.workspace(),
            Event::KeyUpdate,
            format!("key {} bound on first verification: it begins with {start}", key.id),
            vec![
                Resource::new("key", &key.id, key.name.as_deref()),
                Resource::new("api", &key.api_id, None),
                Resource::new("migration", migration, None),
            ],
        ),
    );
    Ok(true)
}
