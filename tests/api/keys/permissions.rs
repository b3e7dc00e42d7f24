//! `keys.addPermissions`, `keys.setPermissions`, `keys.removePermissions`.

use crate::harness::World;
use crate::harness::server::Options;
use crate::permissions::at_once;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::labels;
use crate::permissions::permission;
use crate::permissions::role;
use chrono::Duration;
use serde_json::Value;
use serde_json::json;

const ADD: &str = "keys.addPermissions";
const SET: &str = "keys.setPermissions";
const REMOVE: &str = "keys.removePermissions";
const CONNECT: &str = "authorization.connect_permission_and_key";
const DISCONNECT: &str = "authorization.disconnect_permission_and_key";

#[test]
fn what_is_added_comes_beside_what_is_held_and_new_slugs_are_made() {
    let world = World::new();
    let id = permission(&world, "b");
    let key = world.key(&world.api(), json!({"permissions": ["m"]}));
    let answer = world.admin.call(ADD, json!({"keyId": key.id, "permissions": ["z", "b", "B", "z"]}));
    assert_eq!(labels(answer.data(), "slug"), ["B", "b", "m", "z"]);
    assert_eq!(answer.data()[1], json!({"id": id, "name": "b", "slug": "b"}));
    assert_eq!(events_of(&world, &answer), [CONNECT, CONNECT, CONNECT, "permission.create", "permission.create"]);
    assert_eq!(world.get_key(&key.id)["permissions"], json!(["B", "b", "m", "z"]));
}

#[test]
fn a_set_replaces_what_is_held() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"permissions": ["a", "b"]}));
    let answer = world.admin.call(SET, json!({"keyId": key.id, "permissions": ["c", "b"]}));
    assert_eq!(labels(answer.data(), "slug"), ["b", "c"]);
    assert_eq!(events_of(&world, &answer), [CONNECT, DISCONNECT, "permission.create"]);
    assert_eq!(world.admin.ok(SET, json!({"keyId": key.id, "permissions": []})), json!([]));
    assert!(world.get_key(&key.id).get("permissions").is_none());
}

#[test]
fn what_is_removed_is_gone_and_an_unknown_slug_removes_nothing() {
    let world = World::new();
    let other = permission(&world, "other");
    let key = world.key(&world.api(), json!({"permissions": ["a", "b", "c"]}));
    let before = world.everything();
    let answer = world.admin.call(REMOVE, json!({"keyId": key.id, "permissions": ["a", "y", "A", other]}));
    answer.refused(404, "unkey/data/permission_not_found");
    for unknown in ["'y'", "'A'", &format!("'{other}'")] {
        assert!(answer.detail().contains(unknown), "{}", answer.text);
    }
    assert!(!answer.detail().contains("'a'"), "{}", answer.text);
    assert_eq!(before, world.everything());
    let answer = world.admin.call(REMOVE, json!({"keyId": key.id, "permissions": ["b", "other", "b"]}));
    assert_eq!(labels(answer.data(), "slug"), ["a", "c"]);
    assert_eq!(events_of(&world, &answer), [DISCONNECT]);
    world.admin.ok("permissions.getPermission", json!({"permission": "b"}));
}

#[test]
fn what_changes_nothing_is_no_error_and_leaves_no_trace() {
    let world = World::new();
    permission(&world, "other");
    let key = world.key(&world.api(), json!({"permissions": ["a"]}));
    let before = world.everything();
    for (operation, slugs) in [(ADD, json!(["a", "a"])), (SET, json!(["a"])), (REMOVE, json!(["other"]))] {
        let data = world.admin.ok(operation, json!({"keyId": key.id, "permissions": slugs}));
        assert_eq!(labels(&data, "slug"), ["a"]);
        assert_eq!(before, world.everything(), "{operation}");
    }
}

#[test]
fn what_the_key_holds_by_roles_is_neither_shown_nor_touched() {
    let world = World::new();
    role(&world, "editor", &["by.role", "both"]);
    let key = world.key(&world.api(), json!({"permissions": ["both"], "roles": ["editor"]}));
    let data = world.admin.ok(REMOVE, json!({"keyId": key.id, "permissions": ["both", "by.role"]}));
    assert_eq!(data, json!([]));
    assert_eq!(world.get_key(&key.id)["permissions"], json!(["both", "by.role"]));
}

#[test]
fn every_change_moves_updated_at() {
    let server = Options::default().start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let updated = || world.get_key(&key.id)["updatedAt"].as_i64();
    assert_eq!(updated(), None);
    let mut last = 0;
    for (operation, slugs, moves) in [
        (ADD, json!(["a", "b"]), true),
        (ADD, json!(["a"]), false),
        (SET, json!(["b", "c"]), true),
        (REMOVE, json!(["a"]), false),
        (REMOVE, json!(["b"]), true),
    ] {
        server.clock.advance(Duration::seconds(1));
        world.admin.ok(operation, json!({"keyId": key.id, "permissions": slugs}));
        let now = updated().unwrap();
        assert_eq!(now > last, moves, "{operation} {slugs}");
        last = now;
    }
}

#[test]
fn new_slugs_need_the_right_to_create_and_else_nothing_changes() {
    let world = World::new();
    permission(&world, "known");
    let api = world.api();
    let key = world.key(&api, json!({}));
    let update = format!("api.{api}.update_key");
    let adder = world.root_key(
        &[&update, "rbac.*.add_permission_to_key", "rbac.*.remove_permission_from_key"].map(ToOwned::to_owned),
    );
    let before = world.everything();
    for operation in [ADD, SET] {
        let answer = adder.call(operation, json!({"keyId": key.id, "permissions": ["known", "new"]}));
        answer.refused(403, "unkey/authorization/insufficient_permissions");
        assert_eq!(answer.body["error"]["missing"], json!(["rbac.*.create_permission"]));
        assert!(!answer.text.contains(&api), "an id that was not sent: {}", answer.text);
    }
    assert_eq!(before, world.everything());
    for operation in [ADD, SET, REMOVE] {
        adder.ok(operation, json!({"keyId": key.id, "permissions": ["known"]}));
    }
}

#[test]
fn refusals_come_in_order_key_then_right_then_slug() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let body = |id: &str| json!({"keyId": id, "permissions": ["unknown"]});
    world.admin.call(REMOVE, body("key_unknown")).refused(404, "unkey/data/key_not_found");
    let reader = world.root_key(&["api.*.read_key", "api.other.update_key", "rbac.*.remove_permission_from_key"]);
    reader.call(REMOVE, body(&key.id)).refused(403, "unkey/authorization/insufficient_permissions");
    reader.call(REMOVE, body("key_unknown")).refused(404, "unkey/data/key_not_found");
    let concrete = world.root_key(&["api.*.update_key", "rbac.any.remove_permission_from_key"]);
    for id in [key.id.as_str(), "key_unknown"] {
        concrete.call(REMOVE, body(id)).refused(403, "unkey/authorization/insufficient_permissions");
    }
    world.admin.call(REMOVE, body(&key.id)).refused(404, "unkey/data/permission_not_found");
    world.admin.ok("keys.deleteKey", json!({"keyId": key.id}));
    for operation in [ADD, SET, REMOVE] {
        world.admin.call(operation, body(&key.id)).refused(404, "unkey/data/key_not_found");
    }
    let other = world.key(&api, json!({}));
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    world.admin.call(ADD, body(&other.id)).refused(404, "unkey/data/key_not_found");
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    let slugs = |count: usize| (0..count).map(|n| format!("slug.{n}")).collect::<Vec<_>>();
    for operation in [ADD, SET, REMOVE] {
        let data = world.admin.ok(operation, json!({"keyId": key.id, "permissions": slugs(1000)}));
        assert_eq!(data.as_array().unwrap().len(), if operation == REMOVE { 0 } else { 1000 });
        let body = |value: Value| json!({"keyId": key.id, "permissions": value});
        invalid(&world, operation, body(json!(slugs(1001))), &["body.permissions"]);
        invalid(&world, operation, body(json!(null)), &["body.permissions"]);
        for slug in ["a".repeat(129), "a/b".to_owned(), "a b".to_owned()] {
            invalid(&world, operation, body(json!(["ok", slug])), &["body.permissions[1]"]);
        }
        invalid(&world, operation, json!({"keyId": key.id}), &["body.permissions"]);
        invalid(&world, operation, json!({"permissions": ["a"]}), &["body.keyId"]);
        invalid(&world, operation, json!({"keyId": "k-1", "permissions": ["a"]}), &["body.keyId"]);
        invalid(&world, operation, json!({"keyId": key.id, "permissions": ["a"], "roles": []}), &["body.roles"]);
    }
    for operation in [ADD, REMOVE] {
        invalid(&world, operation, json!({"keyId": key.id, "permissions": []}), &["body.permissions"]);
    }
    world.admin.ok(ADD, json!({"keyId": key.id, "permissions": ["a".repeat(128)]}));
}

#[test]
fn adds_at_the_same_moment_all_survive() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    let answers = at_once(8, |n| {
        let slugs =
            if n % 2 == 0 { json!(["shared", format!("own.{n}")]) } else { json!([format!("own.{n}"), "shared"]) };
        world.admin.call(ADD, json!({"keyId": key.id, "permissions": slugs}))
    });
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let held = labels(
        &world.get_key(&key.id)["permissions"].as_array().unwrap().iter().map(|s| json!({"slug": s})).collect(),
        "slug",
    );
    assert_eq!(held.len(), 9, "{held:?}");
    let count = |name: &str| world.audit().iter().filter(|event| *event == name).count();
    assert_eq!((count("permission.create"), count(CONNECT)), (9, 9));
}

#[test]
fn sets_at_the_same_moment_end_with_exactly_one_of_them() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"permissions": ["old"]}));
    let sets = [["a", "b"], ["b", "c"], ["c", "d"], ["e", "f"], ["a", "f"], ["b", "e"]];
    let answers = at_once(6, |n| world.admin.call(SET, json!({"keyId": key.id, "permissions": sets[n]})));
    for (answer, set) in answers.iter().zip(sets) {
        assert_eq!(labels(answer.data(), "slug"), set, "{}", answer.text);
    }
    let held = world.get_key(&key.id)["permissions"].clone();
    assert!(sets.iter().any(|set| held == json!(set)), "{held}");
}
