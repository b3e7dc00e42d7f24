//! Credentials that were not found: what can be said of them afterwards.

use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::schema::apis;
use crate::model::schema::keys;
use crate::model::schema::root_keys;
use crate::model::schema::workspaces;
use crate::model::secret::Hash;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::JoinOnDsl;
use diesel::NullableExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::prelude::Queryable;
use std::collections::HashMap;

/// A key as far as records name it.
#[derive(Clone, Debug, Queryable)]
#[expect(missing_docs, reason = "the columns of Key")]
pub struct NamedKey {
    pub id: KeyId,
    pub workspace_id: WorkspaceId,
    pub api_id: ApiId,
    pub name: Option<String>,
    pub start: String,
}

/// A root key as far as records name it.
#[derive(Clone, Debug, Queryable)]
#[expect(missing_docs, reason = "the columns of RootKey")]
pub struct NamedRootKey {
    pub id: RootKeyId,
    pub workspace_id: WorkspaceId,
    pub name: Option<String>,
    pub start: String,
}

fn by_hash<T>(rows: Vec<(Vec<u8>, T)>) -> HashMap<Hash, T> {
    rows.into_iter().filter_map(|(hash, row)| Some((Hash::from_bytes(hash.try_into().ok()?), row))).collect()
}

fn bytes(hashes: &[Hash]) -> Vec<&[u8]> {
    hashes.iter().map(Hash::as_bytes).collect()
}

/// Of these hashes, those of a workspace's keys that are gone: deleted, or by their API.
///
/// # Errors
/// Whatever the database says.
pub fn gone_keys(tx: &mut Tx<'_>, workspace: &WorkspaceId, hashes: &[Hash]) -> QueryResult<HashMap<Hash, NamedKey>> {
    let rows = keys::table
        .left_join(apis::table)
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::hash.eq_any(bytes(hashes)))
        .filter(keys::deleted_at.is_not_null().or(apis::deleted_at.is_not_null()))
        .select((keys::hash, (keys::id, keys::workspace_id, keys::api_id, keys::name, keys::start)))
        .load(tx.connection)?;
    Ok(by_hash(rows))
}

/// Of these prefixes, those that live APIs of a workspace give their keys, each with one such API.
///
/// # Errors
/// Whatever the database says.
pub fn prefixes(tx: &mut Tx<'_>, workspace: &WorkspaceId, prefixes: &[&str]) -> QueryResult<HashMap<String, ApiId>> {
    let rows: Vec<(Option<String>, ApiId)> = apis::table
        .filter(apis::workspace_id.eq(workspace))
        .filter(apis::deleted_at.is_null())
        .filter(apis::default_prefix.eq_any(prefixes).assume_not_null())
        .order(apis::id.desc())
        .select((apis::default_prefix, apis::id))
        .load(tx.connection)?;
    Ok(rows.into_iter().filter_map(|(prefix, api)| Some((prefix?, api))).collect())
}

/// Of these hashes, those of root keys that were deleted.
///
/// # Errors
/// Whatever the database says.
pub fn gone_root_keys(tx: &mut Tx<'_>, hashes: &[Hash]) -> QueryResult<HashMap<Hash, NamedRootKey>> {
    let rows = root_keys::table
        .filter(root_keys::hash.eq_any(bytes(hashes)))
        .filter(root_keys::deleted_at.is_not_null())
        .select((root_keys::hash, (root_keys::id, root_keys::workspace_id, root_keys::name, root_keys::start)))
        .load(tx.connection)?;
    Ok(by_hash(rows))
}

/// Of these hashes, those of keys of APIs, in any workspace.
///
/// # Errors
/// Whatever the database says.
pub fn keys_anywhere(tx: &mut Tx<'_>, hashes: &[Hash]) -> QueryResult<HashMap<Hash, NamedKey>> {
    // Hashes are found by workspace only: each workspace is one look.
    let rows = workspaces::table
        .inner_join(keys::table.on(keys::workspace_id.eq(workspaces::id)))
        .filter(keys::hash.eq_any(bytes(hashes)))
        .select((keys::hash, (keys::id, keys::workspace_id, keys::api_id, keys::name, keys::start)))
        .load(tx.connection)?;
    Ok(by_hash(rows))
}

/// How root keys are called, deleted ones among them.
///
/// # Errors
/// Whatever the database says.
pub fn root_keys(tx: &mut Tx<'_>, ids: &[RootKeyId]) -> QueryResult<HashMap<RootKeyId, NamedRootKey>> {
    let rows: Vec<NamedRootKey> = root_keys::table
        .filter(root_keys::id.eq_any(ids))
        .select((root_keys::id, root_keys::workspace_id, root_keys::name, root_keys::start))
        .load(tx.connection)?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}
