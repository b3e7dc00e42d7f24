//! Sealed copies of recoverable keys.

use crate::authz::caller::Permit;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::master_key::Sealed;
use crate::model::origin::Event;
use crate::model::origin::Resource;
use crate::model::schema::sealed_keys;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use std::collections::HashMap;

type Row = (KeyId, String, Vec<u8>, Vec<u8>);
type RowWithWorkspace = (KeyId, WorkspaceId, String, Vec<u8>, Vec<u8>);

/// Stores a sealed copy.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, key: &KeyId, sealed: &Sealed) -> QueryResult<()> {
    diesel::insert_into(sealed_keys::table)
        .values((
            sealed_keys::key_id.eq(key),
            sealed_keys::workspace_id.eq(permit.workspace()),
            sealed_keys::master_key_id.eq(&sealed.master_key_id),
            sealed_keys::nonce.eq(&sealed.nonce),
            sealed_keys::ciphertext.eq(&sealed.ciphertext),
        ))
        .execute(tx.connection)?;
    Ok(())
}

/// Whether a sealed copy of a key is stored.
///
/// # Errors
/// Whatever the database says.
pub fn exists(tx: &mut Tx<'_>, workspace: &WorkspaceId, key: &KeyId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        sealed_keys::table.filter(sealed_keys::key_id.eq(key)).filter(sealed_keys::workspace_id.eq(workspace)),
    ))
    .get_result(tx.connection)
}

/// The sealed copies of these keys, as far as there are any.
///
/// # Errors
/// Whatever the database says.
pub fn find(tx: &mut Tx<'_>, workspace: &WorkspaceId, keys: &[&KeyId]) -> QueryResult<HashMap<KeyId, Sealed>> {
    let rows: Vec<Row> = sealed_keys::table
        .filter(sealed_keys::workspace_id.eq(workspace))
        .filter(sealed_keys::key_id.eq_any(keys))
        .select((sealed_keys::key_id, sealed_keys::master_key_id, sealed_keys::nonce, sealed_keys::ciphertext))
        .load(tx.connection)?;
    Ok(rows
        .into_iter()
        .map(|(id, master_key_id, nonce, ciphertext)| (id, Sealed { master_key_id, nonce, ciphertext }))
        .collect())
}

/// Notes in the audit log that secrets were shown.
pub fn note_decrypted(tx: &mut Tx<'_>, permit: &Permit, keys: &[&KeyId]) {
    for key in keys {
        let display = format!("decrypted key {key}");
        let resources = vec![Resource::new("key", key, None)];
        tx.note(AuditEvent::new(permit.workspace(), Event::KeyDecrypt, display, resources));
    }
}

/// Some of the copies that another master key than this one sealed, locked until the transaction ends; with their workspaces.
///
/// # Errors
/// Whatever the database says.
pub fn not_sealed_by(
    tx: &mut Tx<'_>,
    master_key_id: &str,
    after: &KeyId,
    limit: i64,
) -> QueryResult<Vec<(KeyId, WorkspaceId, Sealed)>> {
    let rows: Vec<RowWithWorkspace> = sealed_keys::table
        .filter(sealed_keys::master_key_id.ne(master_key_id))
        .filter(sealed_keys::key_id.gt(after))
        .order(sealed_keys::key_id)
        .limit(limit)
        .select(sealed_keys::all_columns)
        .for_update()
        .load(tx.connection)?;
    Ok(rows
        .into_iter()
        .map(|(id, workspace, master_key_id, nonce, ciphertext)| {
            (id, workspace, Sealed { master_key_id, nonce, ciphertext })
        })
        .collect())
}

/// Puts a copy under another seal.
///
/// # Errors
/// Whatever the database says.
pub fn reseal(tx: &mut Tx<'_>, permit: &Permit, key: &KeyId, sealed: &Sealed) -> QueryResult<usize> {
    diesel::update(
        sealed_keys::table.filter(sealed_keys::key_id.eq(key)).filter(sealed_keys::workspace_id.eq(permit.workspace())),
    )
    .set((
        sealed_keys::master_key_id.eq(&sealed.master_key_id),
        sealed_keys::nonce.eq(&sealed.nonce),
        sealed_keys::ciphertext.eq(&sealed.ciphertext),
    ))
    .execute(tx.connection)
}

/// The ids of all master keys that sealed something, with how many.
///
/// # Errors
/// Whatever the database says.
pub fn master_keys_in_use(tx: &mut Tx<'_>) -> QueryResult<Vec<(String, i64)>> {
    sealed_keys::table
        .group_by(sealed_keys::master_key_id)
        .select((sealed_keys::master_key_id, diesel::dsl::count_star()))
        .order(sealed_keys::master_key_id)
        .load(tx.connection)
}
