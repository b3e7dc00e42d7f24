//! Identities: the owners of keys, under the customer's own names (contract/identities.md).

use crate::model::clock::Timestamp;
use crate::model::id::IdentityId;
use crate::model::id::WorkspaceId;
use crate::model::meta::Meta;
use crate::model::rate_limit::OwnLimits;
use crate::model::schema::identities;
use diesel::deserialize::FromSql;
use diesel::deserialize::FromSqlRow;
use diesel::pg::Pg;
use diesel::pg::PgValue;
use diesel::prelude::AsChangeset;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;
use diesel::sql_types::Json;
use serde::Deserialize;
use std::collections::BTreeSet;

/// One identity.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = identities, check_for_backend(diesel::pg::Pg))]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// The customer's own name for it; unique among the live ones of its workspace.
    pub external_id: String,
    /// Free-form metadata.
    pub meta: Option<Meta>,
    /// The keys of a disabled identity verify as `FORBIDDEN`.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// What an identity holds itself, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, FromSqlRow)]
pub struct Holdings {
    /// Slugs of its permissions.
    pub permissions: BTreeSet<String>,
    /// Names of its roles.
    pub roles: BTreeSet<String>,
}

impl FromSql<Json, Pg> for Holdings {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(serde_json::from_slice(bytes.as_bytes())?)
    }
}

/// An identity with everything that answers show of it.
#[derive(Clone, Debug)]
pub struct FullIdentity {
    /// The identity.
    pub identity: Identity,
    /// What it holds.
    pub holdings: Holdings,
    /// Its rate limits, sorted by name.
    pub limits: OwnLimits,
}

/// What may be changed; `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = identities)]
#[expect(missing_docs, reason = "the columns of Identity")]
pub struct IdentityChanges {
    pub meta: Option<Option<Meta>>,
    pub enabled: Option<bool>,
}
