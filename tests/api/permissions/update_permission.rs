//! `permissions.updatePermission`.

use crate::harness::World;
use crate::permissions::at_once;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::last_display;
use crate::permissions::permission;
use serde_json::json;

const UPDATE: &str = "permissions.updatePermission";

#[test]
fn what_is_given_changes_and_the_rest_stays() {
    let world = World::new();
    let id = permission(&world, "docs.read");
    let answer = world.admin.call(UPDATE, json!({"permission": "docs.read", "slug": "docs.show"}));
    assert_eq!(answer.data(), &json!({"id": id, "name": "docs.read", "slug": "docs.show"}));
    assert_eq!(events_of(&world, &answer), ["permission.update"]);
    assert_eq!(last_display(&world), "updated permission docs.read, which is docs.show now");
    let data = world.admin.ok(UPDATE, json!({"permission": id, "name": "Show", "description": "All"}));
    assert_eq!(data, json!({"id": id, "name": "Show", "slug": "docs.show", "description": "All"}));
    let data = world.admin.ok(UPDATE, json!({"permission": id}));
    assert_eq!(data["description"], "All");
    for none in [json!(null), json!("")] {
        let data = world.admin.ok(UPDATE, json!({"permission": id, "description": none}));
        assert_eq!(data, json!({"id": id, "name": "Show", "slug": "docs.show"}));
        world.admin.ok(UPDATE, json!({"permission": id, "description": "again"}));
    }
    world.admin.call(UPDATE, json!({"permission": "docs.read"})).refused(404, "unkey/data/permission_not_found");
}

#[test]
fn a_slug_of_another_permission_is_refused_and_its_own_is_not() {
    let world = World::new();
    permission(&world, "a");
    permission(&world, "b");
    let before = world.everything();
    let answer = world.admin.call(UPDATE, json!({"permission": "a", "slug": "b", "name": "changed"}));
    answer.refused(409, "unkey/data/permission_already_exists");
    assert!(answer.detail().contains("'b'"));
    assert_eq!(before, world.everything());
    world.admin.ok(UPDATE, json!({"permission": "a", "slug": "a"}));
    world.admin.ok(UPDATE, json!({"permission": "a", "slug": "B"}));
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let id = permission(&world, "a");
    let body =
        json!({"permission": id, "name": "n".repeat(512), "slug": "s".repeat(128), "description": "d".repeat(512)});
    world.admin.ok(UPDATE, body);
    for (field, value) in [
        ("name", json!("n".repeat(513))),
        ("name", json!("")),
        ("name", json!(null)),
        ("slug", json!("s".repeat(129))),
        ("slug", json!("a/b")),
        ("slug", json!(null)),
        ("description", json!("d".repeat(513))),
    ] {
        invalid(&world, UPDATE, json!({"permission": id, field: value}), &[&format!("body.{field}")]);
    }
}

#[test]
fn of_calls_at_the_same_moment_for_one_slug_one_gets_it() {
    let world = World::new();
    let ids: Vec<_> = (0..6).map(|n| permission(&world, &format!("p{n}"))).collect();
    let answers = at_once(6, |n| world.admin.call(UPDATE, json!({"permission": ids[n], "slug": "wanted"})));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 5);
}
