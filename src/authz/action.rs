//! The vocabulary of permissions: every action, and the kind of resource that it is about.

/// What an action is about: the first part of a tuple `resource.id.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum Resource {
    Api,
    Identity,
    Rbac,
    Ratelimit,
    Portal,
    RootKey,
    Decision,
    AuditLog,
}

impl Resource {
    /// The word in a tuple.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Identity => "identity",
            Self::Rbac => "rbac",
            Self::Ratelimit => "ratelimit",
            Self::Portal => "portal",
            Self::RootKey => "root_key",
            Self::Decision => "decision",
            Self::AuditLog => "audit_log",
        }
    }
}

macro_rules! actions {
    ($($action:ident, $resource:ident, $name:literal;)*) => {
        /// One thing that a root key may be allowed to do (common.md section 5, decisions.md).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the words of the contract")]
        pub enum Action { $($action,)* }

        impl Action {
            /// Every action, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$action,)*];

            /// What it is about.
            #[must_use]
            pub const fn resource(self) -> Resource {
                match self { $(Self::$action => Resource::$resource,)* }
            }

            /// The word in a tuple.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$action => $name,)* }
            }
        }
    };
}

actions! {
    CreateApi, Api, "create_api";
    ReadApi, Api, "read_api";
    UpdateApi, Api, "update_api";
    DeleteApi, Api, "delete_api";
    CreateKey, Api, "create_key";
    ReadKey, Api, "read_key";
    UpdateKey, Api, "update_key";
    DeleteKey, Api, "delete_key";
    VerifyKey, Api, "verify_key";
    EncryptKey, Api, "encrypt_key";
    DecryptKey, Api, "decrypt_key";
    ReadApiAnalytics, Api, "read_analytics";
    CreateIdentity, Identity, "create_identity";
    ReadIdentity, Identity, "read_identity";
    UpdateIdentity, Identity, "update_identity";
    DeleteIdentity, Identity, "delete_identity";
    CreatePermission, Rbac, "create_permission";
    ReadPermission, Rbac, "read_permission";
    UpdatePermission, Rbac, "update_permission";
    DeletePermission, Rbac, "delete_permission";
    CreateRole, Rbac, "create_role";
    ReadRole, Rbac, "read_role";
    UpdateRole, Rbac, "update_role";
    DeleteRole, Rbac, "delete_role";
    AddPermissionToKey, Rbac, "add_permission_to_key";
    RemovePermissionFromKey, Rbac, "remove_permission_from_key";
    AddRoleToKey, Rbac, "add_role_to_key";
    RemoveRoleFromKey, Rbac, "remove_role_from_key";
    AddPermissionToRole, Rbac, "add_permission_to_role";
    RemovePermissionFromRole, Rbac, "remove_permission_from_role";
    CreateNamespace, Ratelimit, "create_namespace";
    ReadNamespace, Ratelimit, "read_namespace";
    UpdateNamespace, Ratelimit, "update_namespace";
    DeleteNamespace, Ratelimit, "delete_namespace";
    Limit, Ratelimit, "limit";
    SetOverride, Ratelimit, "set_override";
    ReadOverride, Ratelimit, "read_override";
    ListOverrides, Ratelimit, "list_overrides";
    DeleteOverride, Ratelimit, "delete_override";
    ReadRatelimitAnalytics, Ratelimit, "read_analytics";
    CreatePortalSession, Portal, "create_portal_session";
    CreatePortal, Portal, "create_portal";
    ReadPortal, Portal, "read_portal";
    UpdatePortal, Portal, "update_portal";
    DeletePortal, Portal, "delete_portal";
    CreateRootKey, RootKey, "create_root_key";
    ReadRootKey, RootKey, "read_root_key";
    UpdateRootKey, RootKey, "update_root_key";
    DeleteRootKey, RootKey, "delete_root_key";
    ReadDecision, Decision, "read_decision";
    ReadAuditLog, AuditLog, "read_audit_log";
}

impl Action {
    /// The tuple that grants this action on one resource, or on all of them with `*`.
    #[must_use]
    pub fn on(self, id: &str) -> String {
        format!("{}.{id}.{}", self.resource().name(), self.name())
    }

    /// Whether an operation asks for this action on one resource, so that an id in place of `*` can ever do. Making
    /// something names nothing that exists; a root key is also made by rerolling another one.
    #[must_use]
    pub fn takes_id(self) -> bool {
        let makes = matches!(self, Self::CreateApi | Self::CreateIdentity | Self::CreateNamespace | Self::CreatePortal);
        !makes && !matches!(self.resource(), Resource::Rbac | Resource::Decision | Resource::AuditLog)
    }

    /// The action of this resource with this name.
    #[must_use]
    pub fn find(resource: &str, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.resource().name() == resource && action.name() == name)
    }
}
