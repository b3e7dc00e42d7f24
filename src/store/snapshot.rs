//! Everything that the verification of a key needs to know, in one SELECT.

use crate::limiter::Planned;
use crate::model::address::AddressList;
use crate::model::credits::Credits;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::MigrationId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::key::Key;
use crate::model::permission::Access;
use crate::model::rate_limit::Limits;
use crate::model::rate_limit::OwnLimits;
use crate::model::schema::apis;
use crate::model::schema::credits;
use crate::model::schema::identities;
use crate::model::schema::keys;
use crate::model::secret::Hash;
use crate::model::verification::Subject;
use crate::store::access;
use crate::store::tx::ReadAt;
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
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::OnceLock;

/// A key as verification sees it, parsed. A million of them may be remembered: what few keys have is boxed.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The key.
    pub key: Key,
    /// Its live owner.
    pub identity: Option<Box<Identity>>,
    /// What it holds.
    pub access: Arc<Access>,
    /// Every slug that it holds, sorted: what answers show.
    pub slugs: Box<[String]>,
    /// Its balance, refills that are due not counted; `None` is unlimited.
    pub credits: Option<Box<Credits>>,
    /// Its rate limits and those of its live owner.
    pub limits: Limits,
    /// The limits that count when the request names none, once that was asked.
    pub planned: OnceLock<Box<[Planned]>>,
    /// Whom events of its verifications are about.
    pub subject: Arc<Subject>,
    /// The allow list of its API; `None` allows all.
    pub ip_whitelist: Option<Box<AddressList>>,
    /// When it was read.
    pub read: ReadAt,
}

type Row = (Key, Option<Identity>, Access, Vec<String>, Option<Credits>, Limits);

/// Live keys of live APIs with their live owners. Each key has an API; the join is an outer one all the same, since so Postgres
/// can only begin with the keys, which are found by their index. A macro, since the type of such a query cannot be written down.
macro_rules! live_keys {
    () => {
        keys::table
            .left_join(apis::table)
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
            apis::ip_whitelist.nullable().assume_not_null(),
            Option::<Credits>::as_select(),
            access::limits_of_key(),
        )
    };
}

/// The live keys of live APIs with these hashes in one workspace, all by one query. The key's own index is what finds them,
/// whatever Postgres knows of the tables: see `Manager::fixed_plans`.
///
/// # Errors
/// As [`load`].
pub fn load_all(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    hashes: &[Hash],
    shared: &mut SharedIds,
) -> QueryResult<Vec<(Hash, Snapshot)>> {
    let hashes: Vec<_> = hashes.iter().map(Hash::as_bytes).collect();
    let rows: Vec<(Vec<u8>, Row)> = live_keys!()
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::hash.eq_any(hashes))
        .filter(keys::pending_migration_id.is_null())
        .select((keys::hash, columns!()))
        .load(tx.connection)?;
    let read = tx.read_at();
    let named = rows.into_iter().filter_map(|(hash, row)| Some((Hash::from_bytes(hash.try_into().ok()?), row)));
    let mut share = |(mut key, identity, access, entries, credits, limits): Row| {
        shared.share(workspace, &mut key);
        (key, identity, access, entries, credits, limits)
    };
    named.map(|(hash, row)| snapshot(read, share(row)).map(|found| (hash, found))).collect()
}

/// Ids that very many keys have in common, so that those which are remembered share one text of each.
#[derive(Debug, Default)]
pub struct SharedIds(HashSet<ApiId>);

impl SharedIds {
    /// APIs whose ids are shared at a time.
    const MOST: usize = 10_000;

    fn share(&mut self, workspace: &WorkspaceId, key: &mut Key) {
        key.workspace_id = workspace.clone();
        if let Some(known) = self.0.get(&key.api_id) {
            key.api_id = known.clone();
            return;
        }
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(key.api_id.clone());
    }
}

/// The live key of a live API with this hash.
///
/// # Errors
/// Whatever the database says. A stored allow list that does not parse is one: nobody may pass it.
pub fn load(tx: &mut Tx<'_>, workspace: &WorkspaceId, hash: &Hash) -> QueryResult<Option<Snapshot>> {
    one(tx, workspace, hash, None)
}

/// The live key of a live API with this id, also one whose import is pending.
///
/// # Errors
/// As [`load`].
pub fn load_by_id(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &KeyId) -> QueryResult<Option<Snapshot>> {
    let row: Option<Row> = live_keys!()
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::id.eq(id))
        .select(columns!())
        .first(tx.connection)
        .optional()?;
    row.map(|row| snapshot(tx.read_at(), row)).transpose()
}

/// A live owner as all of its keys share it: a key that has nothing of its own and belongs to no API.
///
/// # Errors
/// As [`load`].
pub fn load_owner(tx: &mut Tx<'_>, workspace: &WorkspaceId, external_id: &str) -> QueryResult<Option<Snapshot>> {
    let row: Option<(Identity, Access, OwnLimits)> = identities::table
        .filter(identities::workspace_id.eq(workspace))
        .filter(identities::external_id.eq(external_id))
        .filter(identities::deleted_at.is_null())
        .select((Identity::as_select(), access::of_owner(), access::limits_of_identity()))
        .first(tx.connection)
        .optional()?;
    let Some((identity, access, OwnLimits(limits))) = row else { return Ok(None) };
    let (id, api) = (KeyId::from_text(""), ApiId::from_text(""));
    let key =
        Key { identity_id: Some(identity.id.clone()), ..Key::bare(id, workspace.clone(), api, identity.created_at) };
    let limits = Limits { key: Vec::new(), identity: limits };
    snapshot(tx.read_at(), (key, Some(identity), access, Vec::new(), None, limits)).map(Some)
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
    row.map(|row| snapshot(tx.read_at(), row)).transpose()
}

fn snapshot(read: ReadAt, (key, identity, access, entries, credits, limits): Row) -> QueryResult<Snapshot> {
    let list = AddressList::parse(&entries).map_err(|index| {
        diesel::result::Error::DeserializationError(format!("ip_whitelist[{index}] is malformed").into())
    })?;
    let subject = Arc::new(Subject::of(&key, identity.as_ref()));
    Ok(Snapshot {
        key,
        identity: identity.map(Box::new),
        slugs: access.slugs().into(),
        access: access.shared(),
        subject,
        credits: credits.map(Box::new),
        limits,
        planned: OnceLock::new(),
        ip_whitelist: (!list.is_empty()).then(|| Box::new(list)),
        read,
    })
}
