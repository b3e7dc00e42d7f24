//! Rate limits: those stored with keys and identities, and what one says of a call (keys.md section 8, ratelimit.md).

use crate::model::clock::Timestamp;
use crate::model::id::NamespaceId;
use crate::model::id::OverrideId;
use crate::model::id::RateLimitId;
use crate::model::id::WorkspaceId;
use crate::model::schema::namespaces;
use crate::model::schema::overrides;
use crate::model::schema::rate_limits;
use diesel::deserialize::FromSql;
use diesel::deserialize::FromSqlRow;
use diesel::pg::Pg;
use diesel::pg::PgValue;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;
use diesel::sql_types::Json;
use serde::Deserialize;
use serde::Serialize;

/// One named limit of a key or an identity.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Queryable, Selectable)]
#[serde(rename_all = "camelCase")]
#[diesel(table_name = rate_limits, check_for_backend(diesel::pg::Pg))]
pub struct RateLimit {
    /// Its id.
    pub id: RateLimitId,
    /// Its name, unique among those of its key or identity.
    pub name: String,
    /// Tokens per window, 1 or more.
    pub limit: i64,
    /// Length of a window, milliseconds, 1000 or more.
    pub duration_ms: i64,
    /// Whether verifications that do not name it take a token, too.
    pub auto_apply: bool,
}

/// A limit as a request defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of RateLimit")]
pub struct Defined {
    pub name: String,
    pub limit: i64,
    pub duration_ms: i64,
    pub auto_apply: bool,
}

impl From<RateLimit> for Defined {
    fn from(limit: RateLimit) -> Self {
        let RateLimit { name, limit, duration_ms, auto_apply, .. } = limit;
        Self { name, limit, duration_ms, auto_apply }
    }
}

/// All limits that concern a key, each list sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, FromSqlRow)]
pub struct Limits {
    /// Its own.
    pub key: Vec<RateLimit>,
    /// Those of its live owner.
    pub identity: Vec<RateLimit>,
}

impl Limits {
    /// Those of the owner that no limit of the key hides: the key's definition of a name wins completely.
    pub fn of_identity_alone(&self) -> impl Iterator<Item = &RateLimit> {
        self.identity.iter().filter(|limit| !self.key.iter().any(|own| own.name == limit.name))
    }
}

impl FromSql<Json, Pg> for Limits {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(serde_json::from_slice(bytes.as_bytes())?)
    }
}

/// The limits of one identity, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, FromSqlRow)]
#[serde(transparent)]
pub struct OwnLimits(pub Vec<RateLimit>);

impl FromSql<Json, Pg> for OwnLimits {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(serde_json::from_slice(bytes.as_bytes())?)
    }
}

/// A limit as a verification asks for it. With `limit` and `duration_ms` it needs no stored one; with one of the two the
/// other is that of the stored one (decisions.md #26).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskedLimit {
    /// Its name.
    pub name: String,
    /// Tokens to take, 0 or more.
    pub cost: i64,
    /// Tokens per window, 0 or more; 0 refuses.
    pub limit: Option<i64>,
    /// Length of the window, milliseconds, 1000 or more.
    pub duration_ms: Option<i64>,
}

/// What one limit said of one verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// Id of the stored limit; `None` for one that the request brought along.
    pub id: Option<RateLimitId>,
    /// Its name.
    pub name: String,
    /// Tokens per window that counted in this call.
    pub limit: i64,
    /// Length of the window that counted, milliseconds.
    pub duration_ms: i64,
    /// Whether it applies by itself.
    pub auto_apply: bool,
    /// End of the current window, Unix milliseconds.
    pub reset_ms: i64,
    /// Tokens left after the call; 0 where the limit was exceeded.
    pub remaining: i64,
    /// Whether it refused.
    pub exceeded: bool,
    /// Tokens that the call asked for.
    pub cost: i64,
}

/// A namespace: a bucket of identifiers that are limited together (ratelimit.md).
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = namespaces, check_for_backend(diesel::pg::Pg))]
pub struct Namespace {
    /// Its id.
    pub id: NamespaceId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// Its name; one that was ever used in the workspace is not used again.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// Another limit for some identifiers of a namespace, in place of the one that a call sends.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = overrides, check_for_backend(diesel::pg::Pg))]
pub struct Override {
    /// Its id.
    pub id: OverrideId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// The namespace.
    pub namespace_id: NamespaceId,
    /// An identifier, or a pattern of them with `*` for any run of characters.
    pub identifier: String,
    /// Tokens per window; 0 blocks.
    pub limit: i64,
    /// Length of a window, milliseconds.
    pub duration_ms: i64,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was last set again.
    pub updated_at: Option<Timestamp>,
}

/// An override as decisions and answers know it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Deserialize)]
#[diesel(table_name = overrides, check_for_backend(diesel::pg::Pg))]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields of Override")]
pub struct OverrideRule {
    pub id: OverrideId,
    pub identifier: String,
    pub limit: i64,
    pub duration_ms: i64,
}

/// Overrides that come as one JSON value of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, FromSqlRow)]
#[serde(transparent)]
pub struct OverrideRules(pub Vec<OverrideRule>);

impl FromSql<Json, Pg> for OverrideRules {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(serde_json::from_slice(bytes.as_bytes())?)
    }
}
