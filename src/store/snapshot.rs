//! Everything that the verification of a key needs to know, in one SELECT.

use crate::model::address::AddressList;
use crate::model::credits::Credits;
use crate::model::id::MigrationId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::key::Key;
use crate::model::permission::Access;
use crate::model::rate_limit::Limits;
use crate::model::schema::apis;
use crate::model::schema::credits;
use crate::model::schema::identities;
use crate::model::schema::keys;
use crate::model::secret::Hash;
use crate::store::access;
use crate::store::tx::Tx;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::JoinOnDsl;
use diesel::NullableExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;

/// A key as verification sees it, parsed.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The key.
    pub key: Key,
    /// Its live owner.
    pub identity: Option<Identity>,
    /// What it holds.
    pub access: Access,
    /// Its balance, refills that are due not counted; `None` is unlimited.
    pub credits: Option<Credits>,
    /// Its rate limits and those of its live owner.
    pub limits: Limits,
    /// The allow list of its API; `None` allows all.
    pub ip_whitelist: Option<AddressList>,
}

/// The live key of a live API with this hash.
///
/// # Errors
/// Whatever the database says. A stored allow list that does not parse is one: nobody may pass it.
pub fn load(tx: &mut Tx<'_>, workspace: &WorkspaceId, hash: &Hash) -> QueryResult<Option<Snapshot>> {
    one(tx, workspace, hash, None)
}

/// The same for a key whose hash is still that of the foreign system that it was imported from.
///
/// # Errors
/// As [`load`].
pub fn load_pending(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    hash: &Hash,
    migration: &MigrationId,
) -> QueryResult<Option<Snapshot>> {
    one(tx, workspace, hash, Some(migration))
}

fn one(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    hash: &Hash,
    pending: Option<&MigrationId>,
) -> QueryResult<Option<Snapshot>> {
    type Row = (Key, Option<Identity>, Access, Vec<String>, Option<Credits>, Limits);
    let live_owner = keys::identity_id.eq(identities::id.nullable()).and(identities::deleted_at.is_null());
    let row: Option<Row> = keys::table
        .inner_join(apis::table)
        .left_join(identities::table.on(live_owner))
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::hash.eq(hash.as_bytes()))
        .filter(keys::pending_migration_id.is_not_distinct_from(pending))
        .filter(keys::deleted_at.is_null())
        .filter(apis::deleted_at.is_null())
        .left_join(credits::table)
        .select((
            Key::as_select(),
            Option::<Identity>::as_select(),
            access::of_key(),
            apis::ip_whitelist,
            Option::<Credits>::as_select(),
            access::limits_of_key(),
        ))
        .first(tx.connection)
        .optional()?;
    let Some((key, identity, access, entries, credits, limits)) = row else { return Ok(None) };
    let list = AddressList::parse(&entries).map_err(|index| {
        diesel::result::Error::DeserializationError(format!("ip_whitelist[{index}] is malformed").into())
    })?;
    Ok(Some(Snapshot { key, identity, access, credits, limits, ip_whitelist: (!list.is_empty()).then_some(list) }))
}
