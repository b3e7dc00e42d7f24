//! Identities: the owners of keys, under the customer's own names (contract/identities.md).

use crate::model::clock::Timestamp;
use crate::model::id::IdentityId;
use crate::model::id::WorkspaceId;
use crate::model::meta::Meta;
use crate::model::schema::identities;
use diesel::prelude::AsChangeset;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;

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

/// What may be changed; `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = identities)]
#[expect(missing_docs, reason = "the columns of Identity")]
pub struct IdentityChanges {
    pub meta: Option<Option<Meta>>,
    pub enabled: Option<bool>,
}
