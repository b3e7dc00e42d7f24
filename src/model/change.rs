//! What a transaction changed, told to every node so that it forgets what it remembered. Never holds a secret.

use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::NamespaceId;
use crate::model::id::RootKeyId;
use crate::model::id::WorkspaceId;
use serde::Deserialize;
use serde::Serialize;

/// One changed thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Change {
    /// The workspace itself, or something that concerns all of its keys.
    Workspace(WorkspaceId),
    /// A root key was made, changed or deleted.
    RootKey(RootKeyId),
    /// An API was made, changed or deleted.
    Api(ApiId),
    /// A key was changed or deleted.
    Key(KeyId),
    /// Keys of a workspace were made, or are found under another hash: what was no key may be one now.
    NewKeys(WorkspaceId),
    /// An identity was made, changed or deleted: it concerns its keys.
    Identity(IdentityId),
    /// A namespace was made or deleted, or one of its overrides was changed.
    Namespace(NamespaceId),
}
