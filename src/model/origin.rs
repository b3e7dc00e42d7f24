//! Who makes a request and from where, and what the audit log says of it (common.md section 10).

use crate::model::id::RequestId;
use crate::model::id::RootKeyId;
use serde::Deserialize;
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest `User-Agent` that is kept, characters.
const MAX_USER_AGENT: usize = 512;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A root key, by id and name.
    RootKey {
        /// Its id.
        id: RootKeyId,
        /// Its label, or `root key`.
        name: Arc<str>,
    },
    /// The operator, on the command line.
    CommandLine,
    /// The server itself.
    System,
}

/// Credentials that a request carried beside its bearer and that never count (decisions.md #3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ignored(u8);

impl Ignored {
    /// What is looked for, in the words of records.
    pub const ALL: [&'static str; 5] = ["cookie", "header.x-api-key", "query.key", "query.api_key", "query.token"];

    /// Adds one of [`Self::ALL`].
    #[must_use]
    pub fn and(self, name: &str) -> Self {
        let bits = Self::ALL.iter().zip(0_u8..).filter(|(known, _)| **known == name).map(|(_, bit)| 1 << bit);
        Self(bits.fold(self.0, |all, bit: u8| all | bit))
    }

    /// All that were found.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        let found = Self::ALL.iter().zip(0_u8..).filter(|(_, bit)| self.0 & (1 << bit) != 0);
        found.map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// One request as the audit log sees it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who acts.
    pub actor: Actor,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`, cut to 512 characters.
    pub user_agent: Option<String>,
    /// Correlates all rows of the request.
    pub request_id: RequestId,
    /// Credentials that the request carried beside the one that counts.
    pub ignored: Ignored,
}

impl Origin {
    /// An origin with no client behind it.
    #[must_use]
    pub fn local(actor: Actor) -> Self {
        let ignored = Ignored::default();
        Self { actor, address: None, user_agent: None, request_id: RequestId::generate(), ignored }
    }

    /// Cuts a `User-Agent` to what is kept.
    #[must_use]
    pub fn user_agent(text: &str) -> String {
        text.chars().filter(|c| *c != '\0').take(MAX_USER_AGENT).collect()
    }
}

/// One thing that an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// `api`, `key`, `rootKey`, `workspace`.
    pub r#type: Cow<'static, str>,
    /// Its id.
    pub id: String,
    /// Its label, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Resource {
    /// A resource of an event.
    #[must_use]
    pub fn new(r#type: &'static str, id: impl ToString, name: Option<&str>) -> Self {
        Self { r#type: r#type.into(), id: id.to_string(), name: name.map(ToOwned::to_owned) }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names speak")]
pub enum Event {
    WorkspaceCreate,
    WorkspaceUpdate,
    RootKeyCreate,
    RootKeyDelete,
    ApiCreate,
    ApiUpdate,
    ApiDelete,
    KeyCreate,
    KeyUpdate,
    KeyDelete,
    KeyReroll,
    KeyDecrypt,
    PermissionCreate,
    PermissionUpdate,
    PermissionDelete,
    RoleCreate,
    RoleUpdate,
    RoleDelete,
    ConnectRoleAndPermission,
    DisconnectRoleAndPermissions,
    ConnectPermissionAndKey,
    DisconnectPermissionAndKey,
    ConnectRoleAndKey,
    DisconnectRoleAndKey,
    ConnectPermissionAndIdentity,
    DisconnectPermissionAndIdentity,
    ConnectRoleAndIdentity,
    DisconnectRoleAndIdentity,
    IdentityCreate,
    IdentityUpdate,
    IdentityDelete,
    RootKeyUpdate,
    RootKeyReroll,
    MigrationCreate,
    RateLimitCreate,
    RateLimitUpdate,
    RateLimitDelete,
    NamespaceCreate,
    NamespaceDelete,
    SetOverride,
    DeleteOverride,
    Denied,
    AuditLogPrune,
}

impl Event {
    /// The name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkspaceCreate => "workspace.create",
            Self::WorkspaceUpdate => "workspace.update",
            Self::RootKeyCreate => "rootKey.create",
            Self::RootKeyDelete => "rootKey.delete",
            Self::ApiCreate => "api.create",
            Self::ApiUpdate => "api.update",
            Self::ApiDelete => "api.delete",
            Self::KeyCreate => "key.create",
            Self::KeyUpdate => "key.update",
            Self::KeyDelete => "key.delete",
            Self::KeyReroll => "key.reroll",
            Self::KeyDecrypt => "key.decrypt",
            Self::PermissionCreate => "permission.create",
            Self::PermissionUpdate => "permission.update",
            Self::PermissionDelete => "permission.delete",
            Self::RoleCreate => "role.create",
            Self::RoleUpdate => "role.update",
            Self::RoleDelete => "role.delete",
            Self::ConnectRoleAndPermission => "authorization.connect_role_and_permission",
            Self::DisconnectRoleAndPermissions => "authorization.disconnect_role_and_permissions",
            Self::ConnectPermissionAndKey => "authorization.connect_permission_and_key",
            Self::DisconnectPermissionAndKey => "authorization.disconnect_permission_and_key",
            Self::ConnectRoleAndKey => "authorization.connect_role_and_key",
            Self::DisconnectRoleAndKey => "authorization.disconnect_role_and_key",
            Self::ConnectPermissionAndIdentity => "authorization.connect_permission_and_identity",
            Self::DisconnectPermissionAndIdentity => "authorization.disconnect_permission_and_identity",
            Self::ConnectRoleAndIdentity => "authorization.connect_role_and_identity",
            Self::DisconnectRoleAndIdentity => "authorization.disconnect_role_and_identity",
            Self::IdentityCreate => "identity.create",
            Self::IdentityUpdate => "identity.update",
            Self::IdentityDelete => "identity.delete",
            Self::RootKeyUpdate => "rootKey.update",
            Self::RootKeyReroll => "rootKey.reroll",
            Self::MigrationCreate => "migration.create",
            Self::RateLimitCreate => "ratelimit.create",
            Self::RateLimitUpdate => "ratelimit.update",
            Self::RateLimitDelete => "ratelimit.delete",
            Self::NamespaceCreate => "ratelimitNamespace.create",
            Self::NamespaceDelete => "ratelimitNamespace.delete",
            Self::SetOverride => "ratelimit.set_override",
            Self::DeleteOverride => "ratelimit.delete_override",
            Self::Denied => "authorization.denied",
            Self::AuditLogPrune => "auditLog.prune",
        }
    }
}
