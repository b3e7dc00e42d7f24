//! `decisions.listDecisions`.

use crate::decisions::request_id;
use crate::harness::World;
use crate::harness::eventually;
use serde_json::Value;
use serde_json::json;

/// The requests of all pages of so many.
fn listed(world: &World<'_>, mut body: Value, limit: i64) -> Vec<String> {
    let mut found = Vec::new();
    body["limit"] = json!(limit);
    loop {
        let answer = world.admin.call("decisions.listDecisions", body.clone());
        let rows = answer.data().as_array().unwrap();
        assert!(rows.iter().all(|row| row["before"].is_null() && row["now"].is_null()), "{}", answer.text);
        found.extend(rows.iter().map(|row| row["requestId"].as_str().unwrap().to_owned()));
        let cursor = &answer.body["pagination"]["cursor"];
        if cursor.is_null() {
            return found;
        }
        body["cursor"] = cursor.clone();
    }
}

#[test]
fn denials_are_found_by_what_they_are_about_newest_first_and_each_once() {
    let world = World::new();
    let api = world.api();
    let keys = ["acme", "zoo"].map(|owner| world.key(&api, json!({"enabled": false, "externalId": owner})));
    let (root_key, caller) = world.root_key_until(&["api.*.verify_key"], None);
    let begun = world.server.clock.now().timestamp_millis();
    let mut made = Vec::new();
    for (key, by) in [(0, &world.admin), (1, &world.admin), (0, &caller)] {
        made.push(request_id(&by.call("keys.verifyKey", json!({"key": keys[key].plaintext}))));
    }
    made.push(request_id(&caller.call("apis.getApi", json!({"apiId": api}))));
    made.push(request_id(&caller.call("apis.listApis", json!({}))));
    let all: Vec<_> = made.iter().rev().cloned().collect();
    eventually("all are recorded", || (listed(&world, json!({}), 100) == all).then_some(()));
    for limit in [1, 2, 4, 5] {
        assert_eq!(listed(&world, json!({}), limit), all, "{limit} a page");
    }
    let of = |indexes: &[usize]| indexes.iter().map(|index| made[*index].clone()).collect::<Vec<_>>();
    for (filter, expected) in [
        (json!({"keyId": keys[0].id}), of(&[2, 0])),
        (json!({"externalId": "zoo"}), of(&[1])),
        (json!({"rootKeyId": root_key}), of(&[4, 3, 2])),
        (json!({"operation": "apis.getApi"}), of(&[3])),
        (json!({"code": "DISABLED", "rootKeyId": root_key}), of(&[2])),
        (json!({"code": "unkey/authorization/insufficient_permissions"}), of(&[4, 3])),
        (json!({"from": begun, "to": begun + 600_000}), all.clone()),
        (json!({"to": begun}), Vec::new()),
        (json!({"from": begun + 600_000}), Vec::new()),
        (json!({"keyId": "key_never"}), Vec::new()),
    ] {
        assert_eq!(listed(&world, filter.clone(), 100), expected, "{filter}");
    }
    assert_eq!(listed(&world, json!({"cursor": "no cursor of any page"}), 100), all);
}

#[test]
fn it_needs_the_right_to_read_records() {
    let world = World::new();
    let answer = world.root_key(&["decision.api_1.read_decision"]).call("decisions.listDecisions", json!({}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["missing"], json!(["decision.*.read_decision"]));
}
