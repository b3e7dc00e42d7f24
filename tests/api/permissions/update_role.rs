//! `permissions.updateRole`.

use crate::harness::World;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::role;
use serde_json::json;

const UPDATE: &str = "permissions.updateRole";

#[test]
fn what_is_given_changes_and_the_rest_stays() {
    let world = World::new();
    let id = role(&world, "editor", &["a"]);
    let answer = world.admin.call(UPDATE, json!({"role": "editor", "description": "Writes"}));
    assert_eq!(answer.data(), &json!({"id": id, "name": "editor", "description": "Writes"}));
    assert_eq!(events_of(&world, &answer), ["role.update"]);
    let data = world.admin.ok(UPDATE, json!({"role": id, "name": "author"}));
    assert_eq!(data, json!({"id": id, "name": "author", "description": "Writes"}));
    let shown = world.admin.ok("permissions.getRole", json!({"role": "author"}));
    assert_eq!(shown["permissions"][0]["slug"], "a");
    assert_eq!(world.admin.ok(UPDATE, json!({"role": id, "description": null})), json!({"id": id, "name": "author"}));
    world.admin.call(UPDATE, json!({"role": "editor"})).refused(404, "unkey/data/role_not_found");
}

#[test]
fn a_name_of_another_role_is_refused_and_its_own_is_not() {
    let world = World::new();
    role(&world, "a", &[]);
    role(&world, "b", &[]);
    let before = world.everything();
    let answer = world.admin.call(UPDATE, json!({"role": "a", "name": "b", "description": "changed"}));
    answer.refused(409, "unkey/data/role_already_exists");
    assert!(answer.detail().contains("'b'"));
    assert_eq!(before, world.everything());
    world.admin.ok(UPDATE, json!({"role": "a", "name": "a"}));
    world.admin.ok(UPDATE, json!({"role": "a", "name": "B"}));
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let id = role(&world, "a", &[]);
    world.admin.ok(UPDATE, json!({"role": id, "name": "n".repeat(128), "description": "d".repeat(512)}));
    for (field, value) in [
        ("name", json!("n".repeat(129))),
        ("name", json!("")),
        ("name", json!(null)),
        ("description", json!("d".repeat(513))),
        ("permissions", json!([])),
    ] {
        invalid(&world, UPDATE, json!({"role": id, field: value}), &[&format!("body.{field}")]);
    }
}
