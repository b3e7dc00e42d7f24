//! One verification of a known key, as it is kept: who, when, what came of it.

use crate::model::clock::Timestamp;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::model::identity::Identity;
use crate::model::key::Key;
use crate::model::verdict::Outcome;
use std::sync::Arc;

/// What was verified: the same for every verification of a key that did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The API of the key.
    pub api: ApiId,
    /// The key.
    pub key: KeyId,
    /// Its live owner: the id, and the customer's own name for it.
    pub owner: Option<(IdentityId, String)>,
}

impl Subject {
    /// Of a key and its live owner.
    #[must_use]
    pub fn of(key: &Key, owner: Option<&Identity>) -> Self {
        Self {
            workspace: key.workspace_id.clone(),
            api: key.api_id.clone(),
            key: key.id.clone(),
            owner: owner.map(|identity| (identity.id.clone(), identity.external_id.clone())),
        }
    }
}

/// One verification.
#[derive(Clone, Debug)]
pub struct Verification {
    /// When it was decided.
    pub at: Timestamp,
    /// The key.
    pub subject: Arc<Subject>,
    /// What was answered; never `NOT_FOUND`.
    pub outcome: Outcome,
    /// As they were sent.
    pub tags: Vec<String>,
    /// Taken from the balance of a limited key, 0 or more; 0 unless `VALID`.
    pub credits_spent: i64,
    /// The request.
    pub request: RequestId,
}

impl Verification {
    /// About how much memory its tags hold, bytes.
    #[must_use]
    pub fn tag_bytes(&self) -> usize {
        self.tags.iter().map(|tag| tag.len().saturating_add(size_of::<String>())).sum()
    }
}
