//! What verdicts depend on, as it is now and as the audit log tells of it: also of keys, owners, roles and permissions that are
//! gone.

use crate::model::audit::FieldChange;
use crate::model::clock::Timestamp;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::key::Key;
use crate::model::origin::Resource;
use crate::model::root_key::RootKey;
use crate::model::schema::apis;
use crate::model::schema::identities;
use crate::model::schema::keys;
use crate::model::schema::root_keys;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;
use std::collections::BTreeSet;

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub at: Timestamp,
    /// What happened, in the words of the log.
    pub event: String,
    /// One sentence for people.
    pub display: String,
    /// Who did it: type, id and name.
    pub actor: [String; 3],
    /// The request that did it.
    pub request_id: String,
    /// What it happened to.
    pub resources: Vec<Resource>,
    /// Fields that became something else.
    pub changes: Vec<FieldChange>,
}

/// Ids that rows shall be about.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Keys and root keys: all that happened to them.
    pub credentials: BTreeSet<String>,
    /// Owners: what happened to them and to what they hold.
    pub owners: BTreeSet<String>,
    /// Roles: their names and their ends.
    pub roles: BTreeSet<String>,
    /// Permissions: their slugs, their ends and the roles that have them.
    pub permissions: BTreeSet<String>,
    /// An API and a workspace: their settings.
    pub settings: BTreeSet<String>,
}

/// A key that is there or was deleted.
#[derive(Clone, Debug)]
pub struct KnownKey {
    /// The key.
    pub key: Key,
    /// Whether it is there.
    pub exists: bool,
    /// Whether its API is there.
    pub api_exists: bool,
    /// The allow list of its API.
    pub ip_whitelist: Vec<String>,
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Timestamptz)]
    at: Timestamp,
    #[diesel(sql_type = Text)]
    event: String,
    #[diesel(sql_type = Text)]
    display: String,
    #[diesel(sql_type = Text)]
    actor_type: String,
    #[diesel(sql_type = Text)]
    actor_id: String,
    #[diesel(sql_type = Text)]
    actor_name: String,
    #[diesel(sql_type = Text)]
    correlation_id: String,
    #[diesel(sql_type = Text)]
    resources: String,
    #[diesel(sql_type = Nullable<Text>)]
    changes: Option<String>,
}

#[derive(QueryableByName)]
struct Pair {
    #[diesel(sql_type = Text)]
    first: String,
    #[diesel(sql_type = Text)]
    second: String,
}

#[derive(QueryableByName)]
struct One {
    #[diesel(sql_type = Text)]
    id: String,
}

/// The newest rows about these, newest first. A row that this version cannot read tells only that it is there.
///
/// # Errors
/// Whatever the database says.
pub fn rows(tx: &mut Tx<'_>, workspace: &WorkspaceId, about: &About, most: i64) -> QueryResult<Vec<Row>> {
    let stored: Vec<Stored> = diesel::sql_query(
        "SELECT at, event, display, actor_type, actor_id, actor_name, correlation_id, resources::text AS resources, \
         changes::text AS changes FROM audit_log WHERE workspace_id = $1 AND (resources @> ANY($2::jsonb[]) \
         OR (resources @> ANY($3::jsonb[]) AND split_part(event, '.', 1) IN ('authorization', 'identity', 'ratelimit')) \
         OR (resources @> ANY($4::jsonb[]) AND event IN ('role.update', 'role.delete')) \
         OR (resources @> ANY($5::jsonb[]) AND event IN ('permission.update', 'permission.delete', \
             'authorization.connect_role_and_permission', 'authorization.disconnect_role_and_permissions')) \
         OR (resources @> ANY($6::jsonb[]) AND event IN ('api.update', 'api.delete', 'workspace.update'))) \
         AND event <> 'authorization.denied' ORDER BY id DESC LIMIT $7",
    )
    .bind::<Text, _>(workspace)
    .bind::<Array<Text>, _>(holding_ids(&about.credentials))
    .bind::<Array<Text>, _>(holding_ids(&about.owners))
    .bind::<Array<Text>, _>(holding_ids(&about.roles))
    .bind::<Array<Text>, _>(holding_ids(&about.permissions))
    .bind::<Array<Text>, _>(holding_ids(&about.settings))
    .bind::<BigInt, _>(most)
    .load(tx.connection)?;
    Ok(stored.into_iter().map(Row::from).collect())
}

/// Ids of the permissions that have, or ever had, one of these slugs.
///
/// # Errors
/// Whatever the database says.
pub fn permissions_called(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    slugs: &BTreeSet<String>,
) -> QueryResult<BTreeSet<String>> {
    let named = |slug: &String| serde_json::json!([{"type": "permission", "name": slug}]).to_string();
    let found: Vec<One> = diesel::sql_query(
        "SELECT id FROM permissions WHERE workspace_id = $1 AND slug = ANY($2) \
         UNION SELECT resources -> 0 ->> 'id' AS id FROM audit_log WHERE workspace_id = $1 \
         AND resources @> ANY($3::jsonb[]) AND event IN ('permission.create', 'permission.update', 'permission.delete')",
    )
    .bind::<Text, _>(workspace)
    .bind::<Array<Text>, _>(slugs.iter().collect::<Vec<_>>())
    .bind::<Array<Text>, _>(slugs.iter().map(named).collect::<Vec<_>>())
    .load(tx.connection)?;
    Ok(found.into_iter().map(|one| one.id).collect())
}

/// A key, deleted or not.
///
/// # Errors
/// Whatever the database says.
pub fn key(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &KeyId) -> QueryResult<Option<KnownKey>> {
    let found: Option<(Key, bool, bool, Vec<String>)> = keys::table
        .inner_join(apis::table)
        .filter(keys::workspace_id.eq(workspace))
        .filter(keys::id.eq(id))
        .select((Key::as_select(), keys::deleted_at.is_null(), apis::deleted_at.is_null(), apis::ip_whitelist))
        .first(tx.connection)
        .optional()?;
    Ok(found.map(|(key, exists, api_exists, ip_whitelist)| KnownKey { key, exists, api_exists, ip_whitelist }))
}

/// A root key, deleted or not, and whether it is there.
///
/// # Errors
/// Whatever the database says.
pub fn root_key(tx: &mut Tx<'_>, workspace: &WorkspaceId, id: &RootKeyId) -> QueryResult<Option<(RootKey, bool)>> {
    root_keys::table
        .filter(root_keys::workspace_id.eq(workspace))
        .filter(root_keys::id.eq(id))
        .select((RootKey::as_select(), root_keys::deleted_at.is_null()))
        .first(tx.connection)
        .optional()
}

/// Owners, deleted or not, and whether they are there.
///
/// # Errors
/// Whatever the database says.
pub fn owners(tx: &mut Tx<'_>, workspace: &WorkspaceId, ids: &BTreeSet<String>) -> QueryResult<Vec<(Identity, bool)>> {
    let ids = ids.iter().map(IdentityId::from_text);
    identities::table
        .filter(identities::workspace_id.eq(workspace))
        .filter(identities::id.eq_any(ids))
        .select((Identity::as_select(), identities::deleted_at.is_null()))
        .load(tx.connection)
}

/// Ids and names of the roles, ids and slugs of the permissions among these that there are.
///
/// # Errors
/// Whatever the database says.
pub fn labels(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    roles: &BTreeSet<String>,
    permissions: &BTreeSet<String>,
) -> QueryResult<Vec<(String, String)>> {
    let found: Vec<Pair> = diesel::sql_query(
        "SELECT id AS first, name AS second FROM roles WHERE workspace_id = $1 AND id = ANY($2) \
         UNION ALL SELECT id, slug FROM permissions WHERE workspace_id = $1 AND id = ANY($3)",
    )
    .bind::<Text, _>(workspace)
    .bind::<Array<Text>, _>(roles.iter().collect::<Vec<_>>())
    .bind::<Array<Text>, _>(permissions.iter().collect::<Vec<_>>())
    .load(tx.connection)?;
    Ok(found.into_iter().map(|pair| (pair.first, pair.second)).collect())
}

/// Roles that these keys and owners have.
///
/// # Errors
/// Whatever the database says.
pub fn roles_of(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    holders: &BTreeSet<String>,
) -> QueryResult<Vec<(String, String)>> {
    let found: Vec<Pair> = diesel::sql_query(
        "SELECT key_id AS first, role_id AS second FROM key_roles WHERE workspace_id = $1 AND key_id = ANY($2) \
         UNION ALL SELECT identity_id, role_id FROM identity_roles WHERE workspace_id = $1 AND identity_id = ANY($2)",
    )
    .bind::<Text, _>(workspace)
    .bind::<Array<Text>, _>(holders.iter().collect::<Vec<_>>())
    .load(tx.connection)?;
    Ok(found.into_iter().map(|pair| (pair.first, pair.second)).collect())
}

/// Which of these keys, owners and roles hold which of these permissions themselves.
///
/// # Errors
/// Whatever the database says.
pub fn permissions_of(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    holders: &BTreeSet<String>,
    permissions: &BTreeSet<String>,
) -> QueryResult<Vec<(String, String)>> {
    let found: Vec<Pair> = diesel::sql_query(
        "SELECT key_id AS first, permission_id AS second FROM key_permissions \
         WHERE workspace_id = $1 AND key_id = ANY($2) AND permission_id = ANY($3) \
         UNION ALL SELECT identity_id, permission_id FROM identity_permissions \
         WHERE workspace_id = $1 AND identity_id = ANY($2) AND permission_id = ANY($3) \
         UNION ALL SELECT role_id, permission_id FROM role_permissions \
         WHERE workspace_id = $1 AND role_id = ANY($2) AND permission_id = ANY($3)",
    )
    .bind::<Text, _>(workspace)
    .bind::<Array<Text>, _>(holders.iter().collect::<Vec<_>>())
    .bind::<Array<Text>, _>(permissions.iter().collect::<Vec<_>>())
    .load(tx.connection)?;
    Ok(found.into_iter().map(|pair| (pair.first, pair.second)).collect())
}

impl From<Stored> for Row {
    fn from(stored: Stored) -> Self {
        Self {
            at: stored.at,
            event: stored.event,
            display: stored.display,
            actor: [stored.actor_type, stored.actor_id, stored.actor_name],
            request_id: stored.correlation_id,
            resources: serde_json::from_str(&stored.resources).unwrap_or_default(),
            changes: stored.changes.and_then(|changes| serde_json::from_str(&changes).ok()).unwrap_or_default(),
        }
    }
}

/// What a list of resources contains that holds one of these ids.
fn holding_ids(ids: &BTreeSet<String>) -> Vec<String> {
    ids.iter().map(|id| serde_json::json!([{"id": id}]).to_string()).collect()
}
