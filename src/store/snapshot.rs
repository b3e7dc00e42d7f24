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
use crate::model::verification::Subject;
use crate::store::access;
use crate::store::tx::Tx;
use diesel::AppearsOnTable;
use diesel::BoolExpressionMethods;
use diesel::Expression;
use diesel::ExpressionMethods;
use diesel::JoinOnDsl;
use diesel::NullableExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::expression::ValidGrouping;
use diesel::expression::is_aggregate;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::query_builder::QueryFragment;
use diesel::query_builder::QueryId;
use diesel::sql_types::Array;
use diesel::sql_types::Binary;
use diesel::sql_types::Bool;
use diesel::sql_types::Text;
use std::sync::Arc;

/// A key as verification sees it, parsed.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The key.
    pub key: Key,
    /// Its live owner.
    pub identity: Option<Identity>,
    /// What it holds.
    pub access: Access,
    /// Every slug that it holds, sorted: what answers show.
    pub slugs: Vec<String>,
    /// Its balance, refills that are due not counted; `None` is unlimited.
    pub credits: Option<Credits>,
    /// Its rate limits and those of its live owner.
    pub limits: Limits,
    /// Whom events of its verifications are about.
    pub subject: Arc<Subject>,
    /// The allow list of its API; `None` allows all.
    pub ip_whitelist: Option<AddressList>,
}

type Row = (Key, Option<Identity>, Access, Vec<String>, Option<Credits>, Limits);

/// Live keys of live APIs with their live owners. A macro, since the type of such a query cannot be written down.
macro_rules! live_keys {
    () => {
        keys::table
            .inner_join(apis::table)
            .left_join(
                identities::table
                    .on(keys::identity_id.eq(identities::id.nullable()).and(identities::deleted_at.is_null())),
            )
            .left_join(credits::table)
            .filter(keys::deleted_at.is_null())
            .filter(apis::deleted_at.is_null())
    };
}

/// The columns of a [`Row`].
macro_rules! columns {
    () => {
        (
            Key::as_select(),
            Option::<Identity>::as_select(),
            access::of_key(),
            apis::ip_whitelist,
            Option::<Credits>::as_select(),
            access::limits_of_key(),
        )
    };
}

/// The live keys of live APIs with these hashes in these workspaces, all by one query.
///
/// # Errors
/// As [`load`].
pub fn load_all(tx: &mut Tx<'_>, names: &[(WorkspaceId, Hash)]) -> QueryResult<Vec<((WorkspaceId, Hash), Snapshot)>> {
    let wanted = Wanted {
        workspaces: names.iter().map(|(workspace, _)| workspace.as_str().to_owned()).collect(),
        hashes: names.iter().map(|(_, hash)| hash.as_bytes().to_vec()).collect(),
    };
    let rows: Vec<(Vec<u8>, Row)> = live_keys!()
        .filter(wanted)
        .filter(keys::pending_migration_id.is_null())
        .select((keys::hash, columns!()))
        .load(tx.connection)?;
    let named = rows.into_iter().filter_map(|(hash, row)| Some((Hash::from_bytes(hash.try_into().ok()?), row)));
    named.map(|(hash, row)| snapshot(row).map(|found| ((found.key.workspace_id.clone(), hash), found))).collect()
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
    let row: Option<Row> = live_keys!()
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::hash.eq(hash.as_bytes()))
        .filter(keys::pending_migration_id.is_not_distinct_from(pending))
        .select(columns!())
        .first(tx.connection)
        .optional()?;
    row.map(snapshot).transpose()
}

fn snapshot((key, identity, access, entries, credits, limits): Row) -> QueryResult<Snapshot> {
    let list = AddressList::parse(&entries).map_err(|index| {
        diesel::result::Error::DeserializationError(format!("ip_whitelist[{index}] is malformed").into())
    })?;
    let slugs = access.slugs();
    let subject = Arc::new(Subject::of(&key, identity.as_ref()));
    Ok(Snapshot {
        key,
        identity,
        access,
        slugs,
        subject,
        credits,
        limits,
        ip_whitelist: (!list.is_empty()).then_some(list),
    })
}

/// Whether the row `keys` of the query that it stands in is one of these: its text is always the same, so that it stays
/// prepared however many are asked for.
#[derive(Debug, QueryId)]
struct Wanted {
    workspaces: Vec<String>,
    hashes: Vec<Vec<u8>>,
}

impl Expression for Wanted {
    type SqlType = Bool;
}

impl QueryFragment<Pg> for Wanted {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(keys.workspace_id, keys.hash) IN (SELECT * FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.workspaces)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.hashes)?;
        out.push_sql("))");
        Ok(())
    }
}

impl ValidGrouping<()> for Wanted {
    type IsAggregate = is_aggregate::No;
}

impl<Source> AppearsOnTable<Source> for Wanted {}
