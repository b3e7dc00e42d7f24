//! `ratelimit.listOverrides`.

use crate::harness::World;
use crate::ratelimit::MONTH_MS;
use crate::ratelimit::namespace;
use crate::ratelimit::set_override;
use serde_json::json;

const LIST: &str = "ratelimit.listOverrides";

#[test]
fn pages_are_ordered_by_id_and_meet_without_gap_or_overlap() {
    let world = World::new();
    for name in ["n", "m"] {
        namespace(&world, name);
    }
    let ids: Vec<_> = (0..5).map(|i| set_override(&world, "n", &format!("i{i}"), i)).collect();
    set_override(&world, "m", "of another", 1);
    let mut seen = Vec::new();
    let mut body = json!({"namespace": "n", "limit": 2});
    loop {
        let answer = world.admin.call(LIST, body.clone());
        seen.extend(answer.data().as_array().unwrap().iter().map(|row| row["overrideId"].as_str().unwrap().to_owned()));
        let pagination = &answer.body["pagination"];
        assert_eq!(pagination["hasMore"] == true, pagination["cursor"].is_string());
        let Some(cursor) = pagination["cursor"].as_str() else { break };
        body["cursor"] = json!(cursor);
    }
    assert_eq!(seen, ids);
    let first = world.admin.ok(LIST, json!({"namespace": "n", "limit": 1}));
    assert_eq!(first, json!([{"overrideId": ids[0], "identifier": "i0", "limit": 0, "duration": MONTH_MS}]));
}

#[test]
fn ten_are_a_page_when_the_request_does_not_say() {
    let world = World::new();
    namespace(&world, "n");
    assert_eq!(world.admin.ok(LIST, json!({"namespace": "n"})), json!([]));
    for i in 0..11 {
        set_override(&world, "n", &i.to_string(), 1);
    }
    let answer = world.admin.call(LIST, json!({"namespace": "n"}));
    assert_eq!(answer.data().as_array().unwrap().len(), 10);
    assert_eq!(answer.body["pagination"]["hasMore"], true);
    assert_eq!(world.admin.ok(LIST, json!({"namespace": "n", "limit": 100})).as_array().unwrap().len(), 11);
}

#[test]
fn of_a_deleted_namespace_nothing_is_listed() {
    let world = World::new();
    namespace(&world, "n");
    set_override(&world, "n", "a", 1);
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "n"}));
    for name in ["n", "never"] {
        let answer = world.admin.call(LIST, json!({"namespace": name}));
        answer.refused(404, "unkey/data/ratelimit_namespace_not_found");
    }
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    namespace(&world, "n");
    for fields in [json!({"limit": 1}), json!({"limit": 100}), json!({"cursor": "x".repeat(1024)})] {
        assert_eq!(world.admin.ok(LIST, super::ask_with(json!({"namespace": "n"}), fields)), json!([]));
    }
    for (field, value) in
        [("limit", json!(0)), ("limit", json!(101)), ("cursor", json!("x".repeat(1025))), ("search", json!("x"))]
    {
        let answer = world.admin.call(LIST, json!({"namespace": "n", field: value}));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [format!("body.{field}")]);
    }
    assert_eq!(world.admin.call(LIST, json!({})).locations(), ["body.namespace"]);
}
