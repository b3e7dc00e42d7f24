//! The workspace: the tenant that everything belongs to.

use crate::model::clock::Timestamp;
use crate::model::id::WorkspaceId;
use crate::model::schema::workspaces;
use diesel::prelude::AsChangeset;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;

/// One workspace.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = workspaces, check_for_backend(diesel::pg::Pg))]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Unique over the database, 1 to 255 characters.
    pub name: String,
    /// A disabled workspace answers 403 `workspace_disabled` to all of its root keys.
    pub enabled: bool,
    /// Requests per minute of each root key; `None` is unlimited.
    pub requests_per_minute: Option<i32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// Live keys at most; `None` is unlimited.
    pub keys_max: Option<i64>,
    /// Live root keys at most; `None` is unlimited.
    pub root_keys_max: Option<i64>,
}

/// Limits that may be changed; `None` keeps, `Some(None)` is unlimited.
#[derive(Clone, Copy, Debug, Default, AsChangeset)]
#[diesel(table_name = workspaces)]
#[expect(missing_docs, reason = "the columns of Workspace")]
pub struct LimitChanges {
    pub requests_per_minute: Option<Option<i32>>,
    pub keys_max: Option<Option<i64>>,
    pub root_keys_max: Option<Option<i64>>,
}
