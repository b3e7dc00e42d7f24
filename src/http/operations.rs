//! THE TABLE of operations: wire name, permissions, handler. Routing, authorization, the tests and the README come from it.

use crate::authz::action::Action;
use crate::authz::action::Action::AddPermissionToKey;
use crate::authz::action::Action::AddPermissionToRole;
use crate::authz::action::Action::AddRoleToKey;
use crate::authz::action::Action::CreateApi;
use crate::authz::action::Action::CreateIdentity;
use crate::authz::action::Action::CreateKey;
use crate::authz::action::Action::CreateNamespace;
use crate::authz::action::Action::CreatePermission;
use crate::authz::action::Action::CreateRole;
use crate::authz::action::Action::CreateRootKey;
use crate::authz::action::Action::DecryptKey;
use crate::authz::action::Action::DeleteApi;
use crate::authz::action::Action::DeleteIdentity;
use crate::authz::action::Action::DeleteKey;
use crate::authz::action::Action::DeleteNamespace;
use crate::authz::action::Action::DeleteOverride;
use crate::authz::action::Action::DeletePermission;
use crate::authz::action::Action::DeleteRole;
use crate::authz::action::Action::DeleteRootKey;
use crate::authz::action::Action::EncryptKey;
use crate::authz::action::Action::Limit;
use crate::authz::action::Action::ReadApi;
use crate::authz::action::Action::ReadApiAnalytics;
use crate::authz::action::Action::ReadAuditLog;
use crate::authz::action::Action::ReadDecision;
use crate::authz::action::Action::ReadIdentity;
use crate::authz::action::Action::ReadKey;
use crate::authz::action::Action::ReadNamespace;
use crate::authz::action::Action::ReadOverride;
use crate::authz::action::Action::ReadPermission;
use crate::authz::action::Action::ReadRole;
use crate::authz::action::Action::ReadRootKey;
use crate::authz::action::Action::RemovePermissionFromKey;
use crate::authz::action::Action::RemovePermissionFromRole;
use crate::authz::action::Action::SetOverride;
use crate::authz::action::Action::UpdateApi;
use crate::authz::action::Action::UpdateIdentity;
use crate::authz::action::Action::UpdateKey;
use crate::authz::action::Action::UpdatePermission;
use crate::authz::action::Action::UpdateRole;
use crate::authz::action::Action::UpdateRootKey;
use crate::authz::action::Action::VerifyKey;
use crate::http::analytics;
use crate::http::apis;
use crate::http::audit_logs;
use crate::http::decisions;
use crate::http::identities;
use crate::http::keys;
use crate::http::migrations;
use crate::http::permissions;
use crate::http::ratelimit;
use crate::http::root_keys;
use crate::http::rpc::rpc;
use crate::http::workspace;
use crate::model::error::Lack;
use crate::model::error::Need;
use actix_web::Route;

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `keys.createKey`: served as `POST /v2/keys.createKey` and `POST /v1/keys.createKey`.
    pub name: &'static str,
    /// All of these are needed, each for every resource or for the one that the request is about. Without any, every root
    /// key may call it: it answers what concerns the caller itself.
    pub needs: &'static [Action],
    /// What may be needed beside, depending on the request.
    pub also: &'static [Action],
    /// How many times as long as any other operation it may stay in the store.
    pub patience: u32,
    /// Whether it only looks, so that an attempt that was refused is no matter of the audit log.
    pub reads: bool,
    /// Makes its route.
    pub serve: fn() -> Route,
}

/// Every operation.
#[rustfmt::skip]
pub static OPERATIONS: &[Operation] = &[
    op("apis.createApi",                   &[CreateApi],        || rpc(apis::create_api)),
    op("apis.getApi",                      &[ReadApi],          || rpc(apis::get_api)).reads(),
    op("apis.listApis",                    &[ReadApi],          || rpc(apis::list_apis)).reads(),
    op("apis.updateApi",                   &[UpdateApi],        || rpc(apis::update_api)),
    op("apis.deleteApi",                   &[DeleteApi],        || rpc(apis::delete_api)),
    op("apis.listKeys",                    &[ReadKey, ReadApi], || rpc(apis::list_keys)).also(&[DecryptKey]).reads(),

    op("keys.createKey",                   &[CreateKey],        || rpc(keys::create_key)).also(&[EncryptKey]),
    op("keys.verifyKey",                   &[VerifyKey],        || rpc(keys::verify_key)).also(&[ReadDecision]).reads(),
    op("keys.getKey",                      &[ReadKey],          || rpc(keys::get_key)).also(&[DecryptKey]).reads(),
    op("keys.whoami",                      &[ReadKey],          || rpc(keys::whoami)).reads(),
    op("keys.updateKey",                   &[UpdateKey],        || rpc(keys::update_key)),
    op("keys.updateCredits",               &[UpdateKey],        || rpc(keys::update_credits)),
    op("keys.rerollKey",                   &[CreateKey],        || rpc(keys::reroll_key)).also(&[EncryptKey]),
    op("keys.deleteKey",                   &[DeleteKey],        || rpc(keys::delete_key)),
    op("keys.addPermissions",              &[UpdateKey, AddPermissionToKey], || rpc(keys::add_permissions)).also(&[CreatePermission]),
    op("keys.setPermissions",              &[UpdateKey, AddPermissionToKey, RemovePermissionFromKey], || rpc(keys::set_permissions)).also(&[CreatePermission]),
    op("keys.removePermissions",           &[UpdateKey, RemovePermissionFromKey], || rpc(keys::remove_permissions)),
    op("keys.addRoles",                    &[UpdateKey, AddRoleToKey], || rpc(keys::add_roles)),
    op("keys.setRoles",                    &[UpdateKey], || rpc(keys::set_roles)),
    op("keys.removeRoles",                 &[UpdateKey], || rpc(keys::remove_roles)),
    op("keys.migrateKeys",                 &[CreateKey],       || rpc(keys::migrate_keys)).patient(10),

    op("analytics.getUsage",               &[ReadApiAnalytics], || rpc(analytics::get_usage)).reads(),

    op("permissions.createPermission",     &[CreatePermission], || rpc(permissions::create_permission)),
    op("permissions.getPermission",        &[ReadPermission], || rpc(permissions::get_permission)).reads(),
    op("permissions.listPermissions",      &[ReadPermission], || rpc(permissions::list_permissions)).reads(),
    op("permissions.updatePermission",     &[UpdatePermission], || rpc(permissions::update_permission)),
    op("permissions.deletePermission",     &[DeletePermission], || rpc(permissions::delete_permission)),
    op("permissions.createRole",           &[CreateRole], || rpc(permissions::create_role)).also(&[AddPermissionToRole, CreatePermission]),
    op("permissions.getRole",              &[ReadRole], || rpc(permissions::get_role)).reads(),
    op("permissions.listRoles",            &[ReadRole], || rpc(permissions::list_roles)).reads(),
    op("permissions.updateRole",           &[UpdateRole], || rpc(permissions::update_role)),
    op("permissions.deleteRole",           &[DeleteRole], || rpc(permissions::delete_role)),
    op("permissions.setRolePermissions",   &[AddPermissionToRole, RemovePermissionFromRole], || rpc(permissions::set_role_permissions)).also(&[CreatePermission]),

    op("identities.createIdentity",        &[CreateIdentity], || rpc(identities::create_identity)),
    op("identities.getIdentity",           &[ReadIdentity],   || rpc(identities::get_identity)).reads(),
    op("identities.listIdentities",        &[ReadIdentity],   || rpc(identities::list_identities)).reads(),
    op("identities.updateIdentity",        &[UpdateIdentity], || rpc(identities::update_identity)),
    op("identities.deleteIdentity",        &[DeleteIdentity], || rpc(identities::delete_identity)),
    op("identities.setPermissions",        &[UpdateIdentity, AddPermissionToKey, RemovePermissionFromKey], || rpc(identities::set_permissions)).also(&[CreatePermission]),
    op("identities.setRoles",              &[UpdateIdentity], || rpc(identities::set_roles)),

    op("ratelimit.limit",                  &[Limit],           || rpc(ratelimit::limit)).also(&[CreateNamespace]).reads(),
    op("ratelimit.multiLimit",             &[Limit],           || rpc(ratelimit::multi_limit)).also(&[CreateNamespace]).reads(),
    op("ratelimit.setOverride",            &[SetOverride],     || rpc(ratelimit::set_override)),
    op("ratelimit.getOverride",            &[ReadOverride],    || rpc(ratelimit::get_override)).reads(),
    op("ratelimit.listOverrides",          &[ReadOverride],    || rpc(ratelimit::list_overrides)).reads(),
    op("ratelimit.deleteOverride",         &[DeleteOverride],  || rpc(ratelimit::delete_override)),
    op("ratelimit.listNamespaces",         &[ReadNamespace],   || rpc(ratelimit::list_namespaces)).reads(),
    op("ratelimit.getNamespace",           &[ReadNamespace],   || rpc(ratelimit::get_namespace)).reads(),
    op("ratelimit.deleteNamespace",        &[DeleteNamespace], || rpc(ratelimit::delete_namespace)),

    op("rootKeys.createKey",               &[CreateRootKey], || rpc(root_keys::create_key)),
    op("rootKeys.listKeys",                &[ReadRootKey],   || rpc(root_keys::list_keys)).reads(),
    op("rootKeys.getKey",                  &[ReadRootKey],   || rpc(root_keys::get_key)).reads(),
    op("rootKeys.updateKey",               &[UpdateRootKey], || rpc(root_keys::update_key)),
    op("rootKeys.rerollKey",               &[CreateRootKey], || rpc(root_keys::reroll_key)),
    op("rootKeys.deleteKey",               &[DeleteRootKey], || rpc(root_keys::delete_key)),
    op("rootKeys.whoami",                  &[],              || rpc(root_keys::whoami)).reads(),

    op("workspace.getLimits",              &[],              || rpc(workspace::get_limits)).reads(),

    op("decisions.explain",                &[],              || rpc(decisions::explain)).also(&[ReadDecision]).reads(),
    op("decisions.listDecisions",          &[ReadDecision],  || rpc(decisions::list_decisions)).reads(),
    op("decisions.simulate",               &[ReadDecision],  || rpc(decisions::simulate)).reads(),

    op("auditLogs.listEvents",             &[ReadAuditLog],    || rpc(audit_logs::list_events)).reads(),

    op("migrations.createMigration",       &[CreateKey], || rpc(migrations::create_migration)),
];

const fn op(name: &'static str, needs: &'static [Action], serve: fn() -> Route) -> Operation {
    Operation { name, needs, also: &[], patience: 1, reads: false, serve }
}

impl Operation {
    const fn also(mut self, also: &'static [Action]) -> Self {
        self.also = also;
        self
    }

    /// For what changes nothing but counters.
    const fn reads(mut self) -> Self {
        self.reads = true;
        self
    }

    /// Whether an attempt at it that was refused belongs into the audit log: to change something, or to see a secret.
    #[must_use]
    pub fn is_audited(&self, lack: Option<&Lack>) -> bool {
        let secret = |need: &Need| need.everywhere == DecryptKey.on("*") && !need.missing().is_empty();
        !self.reads || lack.is_some_and(|lack| lack.needs.iter().any(secret))
    }

    /// For what handles thousands of rows at once.
    const fn patient(mut self, times: u32) -> Self {
        self.patience = times;
        self
    }
}
