//! `permissions.getRole`.

use crate::harness::World;
use crate::permissions::invalid;
use crate::permissions::permission;
use crate::permissions::role;
use serde_json::json;

const GET: &str = "permissions.getRole";

#[test]
fn a_role_is_found_by_its_id_and_by_its_name_with_its_permissions_by_slug() {
    let world = World::new();
    let [b, a] = ["b", "a"].map(|slug| permission(&world, slug));
    let id = role(&world, "my editor", &["b", "a"]);
    let expected = json!({"id": id, "name": "my editor", "permissions": [
        {"id": a, "name": "a", "slug": "a"}, {"id": b, "name": "b", "slug": "b"}]});
    for named in [id.as_str(), "my editor"] {
        assert_eq!(world.admin.ok(GET, json!({"role": named})), expected);
    }
    for unknown in ["My editor", "my", "role_unknown"] {
        world.admin.call(GET, json!({"role": unknown})).refused(404, "unkey/data/role_not_found");
    }
}

#[test]
fn the_id_wins_over_a_name_that_looks_like_it() {
    let world = World::new();
    let id = role(&world, "first", &[]);
    role(&world, &id, &[]);
    assert_eq!(world.admin.ok(GET, json!({"role": id}))["name"], "first");
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    world.admin.call(GET, json!({"role": "é".repeat(128)})).refused(404, "unkey/data/role_not_found");
    for operation in [GET, "permissions.deleteRole", "permissions.updateRole"] {
        for bad in [json!("x".repeat(129)), json!(""), json!(null)] {
            invalid(&world, operation, json!({"role": bad}), &["body.role"]);
        }
        invalid(&world, operation, json!({}), &["body.role"]);
    }
}
