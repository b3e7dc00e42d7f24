//! Keys: what verification and the key operations know of one.

use crate::model::api::Api;
use crate::model::clock::Timestamp;
use crate::model::credits::Credits;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::meta::Meta;
use crate::model::permission::Access;
use crate::model::rate_limit::Limits;
use crate::model::schema::keys;
use diesel::prelude::AsChangeset;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;

/// Random bytes of a key when neither the request nor the API says (keys.md section 3).
pub const DEFAULT_BYTE_LENGTH: i32 = 16;

/// One key, without its hash.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = keys, check_for_backend(diesel::pg::Pg))]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// The API that it belongs to.
    pub api_id: ApiId,
    /// The visible first characters.
    pub start: String,
    /// What it was made with, so that a reroll keeps it whole.
    pub prefix: Option<String>,
    /// Random bytes it was made with; unknown for imported keys.
    pub byte_length: Option<i32>,
    /// A label.
    pub name: Option<String>,
    /// Free-form metadata.
    pub meta: Option<Meta>,
    /// A disabled key verifies as `DISABLED`.
    pub enabled: bool,
    /// From this moment on it verifies as `EXPIRED`.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed through the API (decisions.md #36).
    pub updated_at: Option<Timestamp>,
    /// When it was last verified, to about a second.
    pub last_used_at: Option<Timestamp>,
    /// Its owner; of a deleted identity nothing else is left.
    pub identity_id: Option<IdentityId>,
}

impl Key {
    /// An enabled key of which nothing else is known, or that is only supposed.
    #[must_use]
    pub fn bare(id: KeyId, workspace_id: WorkspaceId, api_id: ApiId, created_at: Timestamp) -> Self {
        Self {
            id,
            workspace_id,
            api_id,
            start: String::new(),
            prefix: None,
            byte_length: None,
            name: None,
            meta: None,
            enabled: true,
            expires_at: None,
            created_at,
            updated_at: None,
            last_used_at: None,
            identity_id: None,
        }
    }
}

/// A key with everything that answers show of it.
#[derive(Clone, Debug)]
pub struct FullKey {
    /// The key.
    pub key: Key,
    /// Its API.
    pub api: Api,
    /// Its live owner.
    pub identity: Option<Identity>,
    /// What it holds.
    pub access: Access,
    /// Its balance, refills that are due not counted; `None` is unlimited.
    pub credits: Option<Credits>,
    /// Its rate limits and those of its live owner.
    pub limits: Limits,
}

/// A key that is about to be stored.
#[derive(Insertable)]
#[diesel(table_name = keys)]
#[expect(missing_docs, reason = "the columns of Key")]
#[expect(missing_debug_implementations, reason = "holds a hash")]
pub struct NewKey<'a> {
    pub id: &'a KeyId,
    pub workspace_id: &'a WorkspaceId,
    pub api_id: &'a ApiId,
    pub hash: &'a [u8],
    pub start: String,
    pub prefix: Option<&'a str>,
    pub byte_length: Option<i32>,
    pub name: Option<&'a str>,
    pub meta: Option<&'a Meta>,
    pub enabled: bool,
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub identity_id: Option<&'a IdentityId>,
}

/// What may be changed; `None` keeps, `Some(None)` clears.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = keys)]
#[expect(missing_docs, reason = "the columns of Key")]
pub struct KeyChanges {
    pub name: Option<Option<String>>,
    pub meta: Option<Option<Meta>>,
    pub enabled: Option<bool>,
    pub expires_at: Option<Option<Timestamp>>,
    pub identity_id: Option<Option<IdentityId>>,
}
