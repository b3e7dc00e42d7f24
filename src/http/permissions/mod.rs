//! `permissions.*` on the wire: permissions and roles.

mod create_permission;
mod create_role;
mod delete_permission;
mod delete_role;
mod get_permission;
mod get_role;
mod list_permissions;
mod list_roles;
mod set_role_permissions;
mod update_permission;
mod update_role;

pub use create_permission::create_permission;
pub use create_role::create_role;
pub use delete_permission::delete_permission;
pub use delete_role::delete_role;
pub use get_permission::get_permission;
pub use get_role::get_role;
pub use list_permissions::list_permissions;
pub use list_roles::list_roles;
pub use set_role_permissions::set_role_permissions;
pub use update_permission::update_permission;
pub use update_role::update_role;

use crate::model::id::PermissionId;
use crate::model::id::RoleId;
use crate::model::permission::FullRole;
use crate::model::permission::Permission;
use crate::model::permission::Role;
use serde::Serialize;

/// A permission as answers show it (permissions.md).
#[derive(Debug, Serialize)]
pub struct PermissionResponse {
    id: PermissionId,
    name: String,
    slug: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl From<Permission> for PermissionResponse {
    fn from(permission: Permission) -> Self {
        Self { id: permission.id, name: permission.name, slug: permission.slug, description: permission.description }
    }
}

/// A role as answers show it (permissions.md); without permissions where there are none or they are not asked for.
#[derive(Debug, Serialize)]
pub struct RoleResponse {
    id: RoleId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<PermissionResponse>,
}

impl From<Role> for RoleResponse {
    fn from(role: Role) -> Self {
        Self { id: role.id, name: role.name, description: role.description, permissions: Vec::new() }
    }
}

impl From<FullRole> for RoleResponse {
    fn from(full: FullRole) -> Self {
        Self { permissions: shown(full.permissions), ..Self::from(full.role) }
    }
}

/// Permissions as answers show them.
pub(in crate::http) fn shown(permissions: Vec<Permission>) -> Vec<PermissionResponse> {
    permissions.into_iter().map(PermissionResponse::from).collect()
}
