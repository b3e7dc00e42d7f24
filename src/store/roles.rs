//! Roles.

use crate::model::id::WorkspaceId;
use crate::model::schema::roles;
use crate::store::links::Named;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use std::collections::BTreeSet;

/// The roles with these names, as far as there are any.
///
/// # Errors
/// Whatever the database says.
pub fn by_names(tx: &mut Tx<'_>, workspace: &WorkspaceId, names: &BTreeSet<String>) -> QueryResult<Named> {
    let rows: Vec<(String, String)> = roles::table
        .filter(roles::workspace_id.eq(workspace))
        .filter(roles::name.eq_any(names))
        .select((roles::name, roles::id))
        .load(tx.connection)?;
    Ok(rows.into_iter().collect())
}
