//! Balances of limited keys, as the control plane sets them. Spends are the ledger's.

use crate::authz::caller::Permit;
use crate::model::credits::Credits;
use crate::model::id::KeyId;
use crate::model::schema::credits;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::upsert::excluded;

/// The balance of a key, which nobody spends from or changes until the transaction ends; `None` if the key is unlimited.
/// Whoever calls has locked the key, so that an unlimited one stays so.
///
/// # Errors
/// Whatever the database says.
pub fn find_for_update(tx: &mut Tx<'_>, permit: &Permit, key: &KeyId) -> QueryResult<Option<Credits>> {
    credits::table
        .find(key)
        .filter(credits::workspace_id.eq(permit.workspace()))
        .select(Credits::as_select())
        .for_update()
        .first(tx.connection)
        .optional()
}

/// Stores the balances of new keys.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, permit: &Permit, new: &[Credits]) -> QueryResult<()> {
    debug_assert!(new.iter().all(|credits| &credits.workspace_id == permit.workspace()));
    for rows in new.chunks(MAX_ROWS) {
        diesel::insert_into(credits::table).values(rows).execute(tx.connection)?;
    }
    Ok(())
}

/// Gives a key this balance and schedule, whether or not it was limited. Whoever calls has locked the key, and moves its
/// `updatedAt`, which is the audit row of this, too.
///
/// # Errors
/// Whatever the database says.
pub fn set(tx: &mut Tx<'_>, permit: &Permit, new: &Credits) -> QueryResult<()> {
    debug_assert_eq!(permit.workspace(), &new.workspace_id);
    diesel::insert_into(credits::table)
        .values(new)
        .on_conflict(credits::key_id)
        .do_update()
        .set((
            credits::remaining.eq(excluded(credits::remaining)),
            credits::refill_amount.eq(excluded(credits::refill_amount)),
            credits::refill_day.eq(excluded(credits::refill_day)),
            credits::refilled_at.eq(excluded(credits::refilled_at)),
        ))
        .execute(tx.connection)?;
    Ok(())
}

/// Makes a key unlimited. Whoever calls does as with [`set`].
///
/// # Errors
/// Whatever the database says.
pub fn clear(tx: &mut Tx<'_>, permit: &Permit, key: &KeyId) -> QueryResult<()> {
    diesel::delete(credits::table.find(key).filter(credits::workspace_id.eq(permit.workspace())))
        .execute(tx.connection)?;
    Ok(())
}
