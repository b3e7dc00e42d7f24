//! Root keys: the credentials that may call Keyward's operations (decisions.md #21, #22).

use crate::model::clock::Timestamp;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use crate::model::schema::root_keys;
use diesel::prelude::AsChangeset;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;

/// One root key, without its hash.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = root_keys, check_for_backend(diesel::pg::Pg))]
pub struct RootKey {
    /// Its id.
    pub id: RootKeyId,
    /// The workspace that it acts in.
    pub workspace_id: WorkspaceId,
    /// The visible first characters.
    pub start: String,
    /// The last four characters.
    pub last_characters: String,
    /// A label.
    pub name: Option<String>,
    /// A disabled root key answers 403 `key_disabled`.
    pub enabled: bool,
    /// Literal tuples `resource.id.action`, sorted.
    pub permissions: Vec<String>,
    /// After this it answers 403 `forbidden`.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last authenticated a request, to about a second.
    pub last_used_at: Option<Timestamp>,
}

/// A root key that is about to be stored.
#[derive(Insertable)]
#[diesel(table_name = root_keys)]
#[expect(missing_docs, reason = "the columns of RootKey")]
#[expect(missing_debug_implementations, reason = "holds a hash")]
pub struct NewRootKey<'a> {
    pub id: &'a RootKeyId,
    pub workspace_id: &'a WorkspaceId,
    pub hash: &'a [u8],
    pub start: String,
    pub last_characters: String,
    pub name: Option<&'a str>,
    pub enabled: bool,
    pub permissions: &'a [String],
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// What may be changed; `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = root_keys)]
#[expect(missing_docs, reason = "the columns of RootKey")]
pub struct RootKeyChanges {
    pub name: Option<Option<String>>,
    pub enabled: Option<bool>,
    pub permissions: Option<Vec<String>>,
    pub expires_at: Option<Option<Timestamp>>,
}
