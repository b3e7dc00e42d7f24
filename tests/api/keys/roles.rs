//! `keys.addRoles`, `keys.setRoles`, `keys.removeRoles`.

use crate::harness::World;
use crate::harness::server::Options;
use crate::permissions::at_once;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::labels;
use crate::permissions::role;
use chrono::Duration;
use serde_json::Value;
use serde_json::json;

const ADD: &str = "keys.addRoles";
const SET: &str = "keys.setRoles";
const REMOVE: &str = "keys.removeRoles";
const CONNECT: &str = "authorization.connect_role_and_key";
const DISCONNECT: &str = "authorization.disconnect_role_and_key";

fn world_with(names: &[&str]) -> World<'static> {
    let world = World::new();
    names.iter().for_each(|name| drop(role(&world, name, &[])));
    world
}

#[test]
fn roles_are_added_set_and_removed_and_answered_by_name() {
    let world = world_with(&["b", "a a", "C"]);
    let id = role(&world, "full", &["z", "y"]);
    let key = world.key(&world.api(), json!({"roles": ["b"]}));
    let answer = world.admin.call(ADD, json!({"keyId": key.id, "roles": ["full", "C", "full"]}));
    assert_eq!(labels(answer.data(), "name"), ["C", "b", "full"]);
    assert_eq!(answer.data()[2]["id"], json!(id));
    assert_eq!(labels(&answer.data()[2]["permissions"], "slug"), ["y", "z"]);
    assert_eq!(events_of(&world, &answer), [CONNECT, CONNECT]);
    assert_eq!(world.get_key(&key.id)["roles"], json!(["C", "b", "full"]));
    let answer = world.admin.call(SET, json!({"keyId": key.id, "roles": ["a a", "full"]}));
    assert_eq!(labels(answer.data(), "name"), ["a a", "full"]);
    assert_eq!(events_of(&world, &answer), [CONNECT, DISCONNECT, DISCONNECT]);
    let answer = world.admin.call(REMOVE, json!({"keyId": key.id, "roles": ["full", "b"]}));
    assert_eq!(labels(answer.data(), "name"), ["a a"]);
    assert_eq!(events_of(&world, &answer), [DISCONNECT]);
    assert_eq!(world.admin.ok(SET, json!({"keyId": key.id, "roles": []})), json!([]));
    assert!(world.get_key(&key.id).get("roles").is_none());
}

#[test]
fn an_unknown_name_is_quoted_and_changes_nothing() {
    let world = world_with(&["known"]);
    let id = role(&world, "other", &[]);
    let key = world.key(&world.api(), json!({"roles": ["known"]}));
    let before = world.everything();
    for operation in [ADD, SET, REMOVE] {
        let answer = world.admin.call(operation, json!({"keyId": key.id, "roles": ["known", "x y", "Known", id]}));
        answer.refused(404, "unkey/data/role_not_found");
        for unknown in ["'x y'", "'Known'", &format!("'{id}'")] {
            assert!(answer.detail().contains(unknown), "{}", answer.text);
        }
        assert!(!answer.detail().contains("'known'"), "{}", answer.text);
    }
    assert_eq!(before, world.everything());
}

#[test]
fn what_changes_nothing_is_no_error_and_leaves_no_trace() {
    let world = world_with(&["a", "other"]);
    let key = world.key(&world.api(), json!({"roles": ["a"]}));
    let before = world.everything();
    for (operation, names) in [(ADD, json!(["a", "a"])), (SET, json!(["a"])), (REMOVE, json!(["other"]))] {
        let data = world.admin.ok(operation, json!({"keyId": key.id, "roles": names}));
        assert_eq!(labels(&data, "name"), ["a"]);
        assert_eq!(before, world.everything(), "{operation}");
    }
}

#[test]
fn every_change_moves_updated_at() {
    let server = Options::default().start();
    let world = World::on(&server);
    role(&world, "a", &[]);
    let key = world.key(&world.api(), json!({}));
    let mut last = 0;
    for (operation, names, moves) in [
        (ADD, json!(["a"]), true),
        (ADD, json!(["a"]), false),
        (REMOVE, json!(["a"]), true),
        (SET, json!([]), false),
        (SET, json!(["a"]), true),
    ] {
        server.clock.advance(Duration::seconds(1));
        world.admin.ok(operation, json!({"keyId": key.id, "roles": names}));
        let now = world.get_key(&key.id)["updatedAt"].as_i64().unwrap();
        assert_eq!(now > last, moves, "{operation} {names}");
        last = now;
    }
}

#[test]
fn refusals_come_in_order_key_then_right_then_name() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let body = |id: &str| json!({"keyId": id, "roles": ["unknown"]});
    let reader = world.root_key(&["api.*.read_key", "api.other.update_key", "rbac.*.add_role_to_key"]);
    let stranger = world.root_key(&["api.other.update_key", "rbac.*.add_role_to_key"]);
    for operation in [ADD, SET, REMOVE] {
        world.admin.call(operation, body("key_unknown")).refused(404, "unkey/data/key_not_found");
        reader.call(operation, body(&key.id)).refused(403, "unkey/authorization/insufficient_permissions");
        let answers = [key.id.as_str(), "key_unknown"].map(|id| stranger.call(operation, body(id)));
        answers[0].refused(404, "unkey/data/key_not_found");
        assert_eq!(answers[0].without_request_id(), answers[1].without_request_id());
        world.admin.call(operation, body(&key.id)).refused(404, "unkey/data/role_not_found");
    }
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let names: Vec<_> = (0..100).map(|n| format!("role {n:03}")).collect();
    names.iter().for_each(|name| drop(role(&world, name, &[])));
    let key = world.key(&world.api(), json!({}));
    for operation in [ADD, SET, REMOVE] {
        let data = world.admin.ok(operation, json!({"keyId": key.id, "roles": names}));
        assert_eq!(data.as_array().unwrap().len(), if operation == REMOVE { 0 } else { 100 });
        let body = |value: Value| json!({"keyId": key.id, "roles": value});
        let more: Vec<_> = names.iter().cloned().chain(["role 000".to_owned()]).collect();
        invalid(&world, operation, body(json!(more)), &["body.roles"]);
        invalid(&world, operation, body(json!(["ok", ""])), &["body.roles[1]"]);
        invalid(&world, operation, body(json!(["x".repeat(129)])), &["body.roles[0]"]);
        invalid(&world, operation, json!({"keyId": key.id}), &["body.roles"]);
        invalid(&world, operation, json!({"keyId": key.id, "roles": ["a"], "unknown": 1}), &["body.unknown"]);
    }
    for operation in [ADD, REMOVE] {
        invalid(&world, operation, json!({"keyId": key.id, "roles": []}), &["body.roles"]);
    }
}

#[test]
fn adds_at_the_same_moment_all_survive_and_sets_end_with_one() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let world = world_with(&names);
    let key = world.key(&world.api(), json!({}));
    let answers = at_once(6, |n| world.admin.call(ADD, json!({"keyId": key.id, "roles": [names[n], "a"]})));
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(world.get_key(&key.id)["roles"], json!(names));
    assert_eq!(world.audit().iter().filter(|event| *event == CONNECT).count(), 6);
    let sets = [["a", "b"], ["b", "c"], ["c", "d"], ["d", "e"], ["e", "f"], ["a", "f"]];
    let answers = at_once(6, |n| world.admin.call(SET, json!({"keyId": key.id, "roles": sets[n]})));
    for (answer, set) in answers.iter().zip(sets) {
        assert_eq!(labels(answer.data(), "name"), set, "{}", answer.text);
    }
    let held = world.get_key(&key.id)["roles"].clone();
    assert!(sets.iter().any(|set| held == json!(set)), "{held}");
}
