//! What a key or an identity holds, as one JSON value of its own row: no second query.

use diesel::expression::SqlLiteral;
use diesel::sql_types::Json;

/// Text of an [`Access`](crate::model::permission::Access) for the row `keys` of the query that it stands in.
const OF_KEY: &str = "json_build_object(\
    'direct', (SELECT coalesce(json_agg(p.slug), '[]') FROM key_permissions l \
        JOIN permissions p ON p.id = l.permission_id WHERE l.key_id = keys.id), \
    'roles', (SELECT coalesce(json_object_agg(r.name, (SELECT coalesce(json_agg(p.slug), '[]') FROM role_permissions rp \
        JOIN permissions p ON p.id = rp.permission_id WHERE rp.role_id = r.id)), '{}') FROM key_roles l \
        JOIN roles r ON r.id = l.role_id WHERE l.key_id = keys.id), \
    'owner', (SELECT coalesce(json_agg(p.slug), '[]') FROM identity_permissions l \
        JOIN identities i ON i.id = l.identity_id AND i.deleted_at IS NULL \
        JOIN permissions p ON p.id = l.permission_id WHERE l.identity_id = keys.identity_id), \
    'ownerRoles', (SELECT coalesce(json_object_agg(r.name, (SELECT coalesce(json_agg(p.slug), '[]') FROM role_permissions rp \
        JOIN permissions p ON p.id = rp.permission_id WHERE rp.role_id = r.id)), '{}') FROM identity_roles l \
        JOIN identities i ON i.id = l.identity_id AND i.deleted_at IS NULL \
        JOIN roles r ON r.id = l.role_id WHERE l.identity_id = keys.identity_id))";

/// Text of a [`Holdings`](crate::model::identity::Holdings) for the row `identities` of the query that it stands in.
const OF_IDENTITY: &str = "json_build_object(\
    'permissions', (SELECT coalesce(json_agg(p.slug), '[]') FROM identity_permissions l \
        JOIN permissions p ON p.id = l.permission_id WHERE l.identity_id = identities.id), \
    'roles', (SELECT coalesce(json_agg(r.name), '[]') FROM identity_roles l \
        JOIN roles r ON r.id = l.role_id WHERE l.identity_id = identities.id))";

/// The expression, to be selected as [`Access`](crate::model::permission::Access).
pub(in crate::store) fn of_key() -> SqlLiteral<Json> {
    diesel::dsl::sql(OF_KEY)
}

/// The expression, to be selected as [`Holdings`](crate::model::identity::Holdings).
pub(in crate::store) fn of_identity() -> SqlLiteral<Json> {
    diesel::dsl::sql(OF_IDENTITY)
}
