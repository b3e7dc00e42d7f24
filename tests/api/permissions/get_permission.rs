//! `permissions.getPermission`.

use crate::harness::World;
use crate::permissions::invalid;
use crate::permissions::permission;
use serde_json::json;

const GET: &str = "permissions.getPermission";

#[test]
fn a_permission_is_found_by_its_id_and_by_its_slug() {
    let world = World::new();
    let id = permission(&world, "docs.read");
    for named in [id.as_str(), "docs.read"] {
        let data = world.admin.ok(GET, json!({"permission": named}));
        assert_eq!(data, json!({"id": id, "name": "docs.read", "slug": "docs.read"}));
    }
    for unknown in ["Docs.read", "docs", "perm_unknown"] {
        world.admin.call(GET, json!({"permission": unknown})).refused(404, "unkey/data/permission_not_found");
    }
    assert_eq!(world.audit(), ["permission.create"]);
}

#[test]
fn the_id_wins_over_a_slug_that_looks_like_it() {
    let world = World::new();
    let id = permission(&world, "first");
    permission(&world, &id);
    assert_eq!(world.admin.ok(GET, json!({"permission": id}))["slug"], "first");
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    world.admin.call(GET, json!({"permission": "x".repeat(128)})).refused(404, "unkey/data/permission_not_found");
    for operation in [GET, "permissions.deletePermission", "permissions.updatePermission"] {
        for bad in [json!("x".repeat(129)), json!("a b"), json!(null)] {
            invalid(&world, operation, json!({"permission": bad}), &["body.permission"]);
        }
        invalid(&world, operation, json!({}), &["body.permission"]);
        invalid(&world, operation, json!({"permission": "x", "id": "x"}), &["body.id"]);
    }
}
