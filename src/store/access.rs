//! What a key or an identity holds and is limited by, as JSON values of its own row: no second query.

use diesel::AppearsOnTable;
use diesel::Expression;
use diesel::QueryResult;
use diesel::SelectableExpression;
use diesel::expression::ValidGrouping;
use diesel::expression::is_aggregate;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::query_builder::QueryFragment;
use diesel::query_builder::QueryId;
use diesel::sql_types::Json;

/// Text of an [`Access`](crate::model::permission::Access) for the row `keys` of the query that it stands in. Of a key without an
/// owner nothing is asked that an owner would have.
const OF_KEY: &str = "json_build_object(\
    'direct', (SELECT coalesce(json_agg(p.slug), '[]') FROM key_permissions l \
        JOIN permissions p ON p.id = l.permission_id WHERE l.key_id = keys.id), \
    'roles', (SELECT coalesce(json_object_agg(r.name, (SELECT coalesce(json_agg(p.slug), '[]') FROM role_permissions rp \
        JOIN permissions p ON p.id = rp.permission_id WHERE rp.role_id = r.id)), '{}') FROM key_roles l \
        JOIN roles r ON r.id = l.role_id WHERE l.key_id = keys.id), \
    'owner', CASE WHEN keys.identity_id IS NULL THEN '[]'::json ELSE \
        (SELECT coalesce(json_agg(p.slug), '[]') FROM identity_permissions l \
        JOIN identities i ON i.id = l.identity_id AND i.deleted_at IS NULL \
        JOIN permissions p ON p.id = l.permission_id WHERE l.identity_id = keys.identity_id) END, \
    'ownerRoles', CASE WHEN keys.identity_id IS NULL THEN '{}'::json ELSE \
        (SELECT coalesce(json_object_agg(r.name, (SELECT coalesce(json_agg(p.slug), '[]') FROM role_permissions rp \
        JOIN permissions p ON p.id = rp.permission_id WHERE rp.role_id = r.id)), '{}') FROM identity_roles l \
        JOIN identities i ON i.id = l.identity_id AND i.deleted_at IS NULL \
        JOIN roles r ON r.id = l.role_id WHERE l.identity_id = keys.identity_id) END)";

/// Text of an [`Access`](crate::model::permission::Access) of a key that holds only what the row `identities` of the query that it
/// stands in gives to it.
const OF_OWNER: &str = "json_build_object('direct', '[]'::json, 'roles', '{}'::json, \
    'owner', (SELECT coalesce(json_agg(p.slug), '[]') FROM identity_permissions l \
        JOIN permissions p ON p.id = l.permission_id WHERE l.identity_id = identities.id), \
    'ownerRoles', (SELECT coalesce(json_object_agg(r.name, (SELECT coalesce(json_agg(p.slug), '[]') FROM role_permissions rp \
        JOIN permissions p ON p.id = rp.permission_id WHERE rp.role_id = r.id)), '{}') FROM identity_roles l \
        JOIN roles r ON r.id = l.role_id WHERE l.identity_id = identities.id))";

/// Text of a [`Holdings`](crate::model::identity::Holdings) for the row `identities` of the query that it stands in.
const OF_IDENTITY: &str = "json_build_object(\
    'permissions', (SELECT coalesce(json_agg(p.slug), '[]') FROM identity_permissions l \
        JOIN permissions p ON p.id = l.permission_id WHERE l.identity_id = identities.id), \
    'roles', (SELECT coalesce(json_agg(r.name), '[]') FROM identity_roles l \
        JOIN roles r ON r.id = l.role_id WHERE l.identity_id = identities.id))";

/// Text of a [`Limits`](crate::model::rate_limit::Limits) for the row `keys` of the query that it stands in.
const LIMITS_OF_KEY: &str = "json_build_object(\
    'key', (SELECT coalesce(json_agg(json_build_object('id', l.id, 'name', l.name, 'limit', l.\"limit\", \
        'durationMs', l.duration_ms, 'autoApply', l.auto_apply) ORDER BY l.name), '[]') \
        FROM rate_limits l WHERE l.key_id = keys.id), \
    'identity', CASE WHEN keys.identity_id IS NULL THEN '[]'::json ELSE \
        (SELECT coalesce(json_agg(json_build_object('id', l.id, 'name', l.name, 'limit', l.\"limit\", \
        'durationMs', l.duration_ms, 'autoApply', l.auto_apply) ORDER BY l.name), '[]') \
        FROM rate_limits l JOIN identities i ON i.id = l.identity_id AND i.deleted_at IS NULL \
        WHERE l.identity_id = keys.identity_id) END)";

/// Text of an [`OwnLimits`](crate::model::rate_limit::OwnLimits) for the row `identities` of the query that it stands in.
const LIMITS_OF_IDENTITY: &str = "(SELECT coalesce(json_agg(json_build_object('id', l.id, 'name', l.name, 'limit', l.\"limit\", \
    'durationMs', l.duration_ms, 'autoApply', l.auto_apply) ORDER BY l.name), '[]') \
    FROM rate_limits l WHERE l.identity_id = identities.id)";

/// The expression, to be selected as [`Access`](crate::model::permission::Access).
pub(in crate::store) const fn of_key() -> Fixed<OfKey> {
    Fixed(OfKey)
}

/// The expression, to be selected as [`Access`](crate::model::permission::Access) of an owner's key.
pub(in crate::store) const fn of_owner() -> Fixed<OfOwner> {
    Fixed(OfOwner)
}

/// The expression, to be selected as [`Holdings`](crate::model::identity::Holdings).
pub(in crate::store) const fn of_identity() -> Fixed<OfIdentity> {
    Fixed(OfIdentity)
}

/// The expression, to be selected as [`Limits`](crate::model::rate_limit::Limits).
pub(in crate::store) const fn limits_of_key() -> Fixed<LimitsOfKey> {
    Fixed(LimitsOfKey)
}

/// The expression, to be selected as [`OwnLimits`](crate::model::rate_limit::OwnLimits).
pub(in crate::store) const fn limits_of_identity() -> Fixed<LimitsOfIdentity> {
    Fixed(LimitsOfIdentity)
}

/// A JSON expression whose text is always the same. Not diesel's `sql()`: that is parsed and planned anew each time, since
/// its text could differ, and planning costs several times what running costs here.
#[derive(Clone, Copy, Debug, QueryId)]
pub(in crate::store) struct Fixed<T>(T);

/// [`Fixed`] of a key.
#[derive(Clone, Copy, Debug, QueryId)]
pub(in crate::store) struct OfKey;

/// [`Fixed`] of what an owner gives to its keys.
#[derive(Clone, Copy, Debug, QueryId)]
pub(in crate::store) struct OfOwner;

/// [`Fixed`] of an identity.
#[derive(Clone, Copy, Debug, QueryId)]
pub(in crate::store) struct OfIdentity;

/// [`Fixed`] of the rate limits of a key.
#[derive(Clone, Copy, Debug, QueryId)]
pub(in crate::store) struct LimitsOfKey;

/// [`Fixed`] of the rate limits of an identity.
#[derive(Clone, Copy, Debug, QueryId)]
pub(in crate::store) struct LimitsOfIdentity;

/// The text of a [`Fixed`].
pub(in crate::store) trait Text {
    /// It refers to a table of the query that it stands in.
    const SQL: &'static str;
}

impl Text for OfKey {
    const SQL: &'static str = OF_KEY;
}

impl Text for OfOwner {
    const SQL: &'static str = OF_OWNER;
}

impl Text for OfIdentity {
    const SQL: &'static str = OF_IDENTITY;
}

impl Text for LimitsOfKey {
    const SQL: &'static str = LIMITS_OF_KEY;
}

impl Text for LimitsOfIdentity {
    const SQL: &'static str = LIMITS_OF_IDENTITY;
}

impl<T> Expression for Fixed<T> {
    type SqlType = Json;
}

impl<T: Text> QueryFragment<Pg> for Fixed<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(T::SQL);
        Ok(())
    }
}

impl<T> ValidGrouping<()> for Fixed<T> {
    type IsAggregate = is_aggregate::No;
}

impl<T, Source> AppearsOnTable<Source> for Fixed<T> {}

impl<T, Source> SelectableExpression<Source> for Fixed<T> {}
