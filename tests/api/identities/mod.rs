//! `identities.*`, one file an operation.

mod create_identity;
mod delete_identity;
mod get_identity;
mod list_identities;
mod rate_limits;
mod set_permissions;
mod set_roles;
mod update_identity;

use crate::harness::World;
use keyward::model::id::PermissionId;
use keyward::model::id::RoleId;
use serde_json::Value;
use serde_json::json;

/// A new identity; returns its id.
pub fn identity(world: &World<'_>, external_id: &str) -> String {
    let data = world.admin.ok("identities.createIdentity", json!({"externalId": external_id}));
    data["identityId"].as_str().unwrap().to_owned()
}

/// `data` of `getIdentity`.
pub fn get(world: &World<'_>, name: &str) -> Value {
    world.admin.ok("identities.getIdentity", json!({"identity": name}))
}

/// A role with new permissions of these slugs.
pub fn role(world: &World<'_>, name: &str, slugs: &[&str]) {
    let role = RoleId::generate();
    world.execute(&format!(
        "INSERT INTO roles (id, workspace_id, name, created_at) VALUES ('{role}', $ws, '{name}', now())"
    ));
    for slug in slugs {
        let id = PermissionId::generate();
        world.execute(&format!(
            "INSERT INTO permissions (id, workspace_id, slug, name, created_at) VALUES ('{id}', $ws, '{slug}', '{slug}', now())"
        ));
        world.execute(&format!(
            "INSERT INTO role_permissions (role_id, permission_id, workspace_id) VALUES ('{role}', '{id}', $ws)"
        ));
    }
}

/// Metadata of `properties` top-level properties.
pub fn wide(properties: usize) -> Value {
    (0..properties).map(|i| (format!("p{i}"), json!(i))).collect::<serde_json::Map<_, _>>().into()
}

/// Metadata whose JSON text has so many bytes.
pub fn long(bytes: usize) -> Value {
    json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())})
}
