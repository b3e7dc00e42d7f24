//! APIs: each owns keys and says how they are made.

use crate::model::clock::Timestamp;
use crate::model::id::ApiId;
use crate::model::id::WorkspaceId;
use crate::model::schema::apis;
use diesel::prelude::AsChangeset;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;

/// One API.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = apis, check_for_backend(diesel::pg::Pg))]
pub struct Api {
    /// Its id, also the id of its keyspace (decisions.md #55).
    pub id: ApiId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// A label, not unique.
    pub name: String,
    /// Prefix of new keys that name none.
    pub default_prefix: Option<String>,
    /// Random bytes of new keys that name no length; 16 if unset.
    pub default_bytes: Option<i32>,
    /// Whether keys may be stored sealed, to be shown again.
    pub recoverable: bool,
    /// Whether `deleteApi` is refused.
    pub delete_protection: bool,
    /// Addresses and CIDR ranges that may use its keys; empty allows all.
    pub ip_whitelist: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// What `updateApi` may change; `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = apis)]
#[expect(missing_docs, reason = "the columns of Api")]
pub struct ApiChanges {
    pub name: Option<String>,
    pub default_prefix: Option<Option<String>>,
    pub default_bytes: Option<Option<i32>>,
    pub recoverable: Option<bool>,
    pub delete_protection: Option<bool>,
    pub ip_whitelist: Option<Vec<String>>,
}
