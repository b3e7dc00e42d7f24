//! `ratelimit.multiLimit`.

use crate::harness::World;
use crate::ratelimit::MONTH_MS;
use crate::ratelimit::ask;
use crate::ratelimit::ask_with;
use crate::ratelimit::limited;
use crate::ratelimit::namespace;
use crate::ratelimit::set_override;
use serde_json::Value;
use serde_json::json;
use std::thread;

const MULTI: &str = "ratelimit.multiLimit";

/// `passed`, and `passed` and `remaining` of each.
fn outcome(data: &Value) -> (bool, Vec<(bool, i64)>) {
    let each = data["limits"].as_array().unwrap();
    let each = each.iter().map(|one| (one["passed"].as_bool().unwrap(), one["remaining"].as_i64().unwrap()));
    (data["passed"].as_bool().unwrap(), each.collect())
}

#[test]
fn all_are_counted_when_all_pass() {
    let world = World::new();
    let id = namespace(&world, "n");
    let data = world
        .admin
        .ok(MULTI, json!([ask("n", "a", 10), ask_with(ask(&id, "b", 5), json!({"cost": 5})), ask("m", "a", 3),]));
    assert_eq!(outcome(&data), (true, vec![(true, 9), (true, 0), (true, 2)]));
    let echoed: Vec<_> =
        data["limits"].as_array().unwrap().iter().map(|one| (&one["namespace"], &one["identifier"])).collect();
    assert_eq!(json!(echoed), json!([["n", "a"], [id, "b"], ["m", "a"]]));
    assert!(data["limits"].as_array().unwrap().iter().all(|one| one["reset"].as_i64().unwrap() % MONTH_MS == 0));
    assert_eq!(limited(&world.admin, ask("n", "a", 10)), (true, 8));
    assert_eq!(limited(&world.admin, ask("n", "b", 5)), (false, 0));
}

#[test]
fn none_is_counted_when_one_fails() {
    let world = World::new();
    limited(&world.admin, ask("n", "full", 1));
    limited(&world.admin, ask("n", "a", 10));
    for _ in 0..2 {
        let data = world.admin.ok(MULTI, json!([ask("n", "a", 10), ask("n", "full", 1), ask("m", "b", 3)]));
        assert_eq!(outcome(&data), (false, vec![(true, 9), (false, 0), (true, 3)]));
    }
    assert_eq!(limited(&world.admin, ask("n", "a", 10)), (true, 8));
    assert_eq!(limited(&world.admin, ask("m", "b", 3)), (true, 2));
}

#[test]
fn two_of_one_counter_add_up() {
    let world = World::new();
    let data = world.admin.ok(MULTI, json!([ask("n", "a", 1), ask("n", "a", 1)]));
    assert!(!outcome(&data).0);
    assert_eq!(limited(&world.admin, ask_with(ask("n", "a", 1), json!({"cost": 0}))), (true, 1), "nothing was taken");
    let data = world.admin.ok(MULTI, json!([ask("n", "b", 5), ask("n", "b", 5), ask("n", "b", 5)]));
    assert_eq!(outcome(&data), (true, vec![(true, 4), (true, 3), (true, 2)]));
    // By id and by name it is the same namespace.
    let id = namespace(&world, "n");
    let data = world.admin.ok(MULTI, json!([ask("n", "c", 1), ask(&id, "c", 1)]));
    assert!(!outcome(&data).0);
}

#[test]
fn overrides_apply_to_each_and_a_limit_of_zero_only_denies() {
    let world = World::new();
    namespace(&world, "n");
    let banned = set_override(&world, "n", "banned", 0);
    let more = set_override(&world, "n", "more*", 100);
    let data = world.admin.ok(MULTI, json!([ask("n", "banned", 5), ask("n", "more of it", 5), ask("n", "a", 5)]));
    assert_eq!(outcome(&data), (false, vec![(false, 0), (true, 100), (true, 5)]));
    let of = |index: usize| (&data["limits"][index]["limit"], &data["limits"][index]["overrideId"]);
    assert_eq!(of(0), (&json!(0), &json!(banned)));
    assert_eq!(of(1), (&json!(100), &json!(more)));
    assert_eq!(of(2), (&json!(5), &Value::Null));
}

#[test]
fn exactly_n_of_4n_concurrent_calls_pass_and_the_others_leave_nothing() {
    let world = World::new();
    namespace(&world, "n");
    let calls = || {
        let call = |i: usize| {
            // In both orders: neither waits for the other for ever.
            let mut body = vec![ask("n", "tight", 20), ask("n", "wide", 1000)];
            if i.is_multiple_of(2) {
                body.reverse();
            }
            outcome(&world.admin.ok(MULTI, json!(body))).0
        };
        (0..10).filter(|i| call(*i)).count()
    };
    let passed: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(calls)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 20);
    assert_eq!(limited(&world.admin, ask("n", "wide", 1000)), (true, 979));
}

#[test]
fn concurrent_first_use_ends_with_one_namespace_each() {
    let world = World::new();
    namespace(&world, "present");
    let names = ["one", "two", "three", "present", "four"];
    thread::scope(|scope| {
        for turn in 0..8 {
            let world = &world;
            scope.spawn(move || {
                let body: Vec<_> = (0..5).map(|i| ask(names[(turn + i) % 5], "a", 100)).collect();
                assert!(outcome(&world.admin.ok(MULTI, json!(body))).0);
            });
        }
    });
    assert_eq!(world.rows("SELECT id FROM namespaces WHERE workspace_id = $ws").len(), 5);
    assert_eq!(world.audit(), ["ratelimitNamespace.create"; 5]);
    for name in names {
        assert_eq!(limited(&world.admin, ask(name, "a", 100)), (true, 91), "{name}: all eight counted in one");
    }
}

#[test]
fn every_namespace_has_to_be_covered_and_nothing_is_counted_otherwise() {
    let world = World::new();
    let [covered, other, third] = ["covered", "other", "third"].map(|name| namespace(&world, name));
    let grant = |id: &str| format!("ratelimit.{id}.limit");
    let client = world.root_key(&[grant(&covered), "ratelimit.*.create_namespace".to_owned()]);
    let refused = |names: &[&str]| {
        let body: Vec<_> = names.iter().map(|name| ask(name, "a", 10)).collect();
        let before = world.everything();
        let answer = client.call(MULTI, json!(body));
        answer.refused(403, "unkey/authorization/insufficient_permissions");
        assert_eq!(before["namespaces"], world.everything()["namespaces"]);
        answer
    };
    let everywhere = "ratelimit.*.limit";
    let answer = refused(&["covered", "other"]);
    assert_eq!(answer.body["error"]["required"], json!([[everywhere]]));
    for name in ["never", "third"] {
        assert_eq!(answer.without_request_id(), refused(&["covered", name]).without_request_id());
    }
    let answer = refused(&[&covered, &other, &third, &other]);
    let mut ids = [grant(&covered), grant(&other), grant(&third)];
    ids.sort();
    assert_eq!(answer.body["error"]["required"], json!([[everywhere], ids]));
    let missing: Vec<_> = ids.iter().filter(|tuple| **tuple != grant(&covered)).collect();
    assert_eq!(answer.body["error"]["missing"], json!(missing));
    // What is held and what is missing suffice.
    let enough = world.root_key(&ids);
    let body: Vec<_> = [&covered, &other, &third, &other].iter().map(|id| ask(id, "a", 10)).collect();
    assert_eq!(outcome(&enough.ok(MULTI, json!(body))), (true, vec![(true, 9), (true, 9), (true, 9), (true, 8)]));
    // Some missing, some present: to make them it needs `limit` everywhere.
    let limits = world.root_key(&[everywhere]);
    let answer = limits.call(MULTI, json!([ask("covered", "b", 10), ask("never", "b", 10)]));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["missing"], json!(["ratelimit.*.create_namespace"]));
    assert_eq!(limited(&world.admin, ask("covered", "b", 10)), (true, 9));
}

#[test]
fn one_deleted_namespace_is_the_whole_call_gone() {
    let world = World::new();
    let id = namespace(&world, "gone");
    let there = namespace(&world, "there");
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "gone"}));
    let before = world.everything();
    let body = json!([ask("there", "a", 10), ask("gone", "a", 10), ask("new", "a", 10)]);
    world.admin.call(MULTI, body.clone()).refused(410, "unkey/data/ratelimit_namespace_gone");
    assert_eq!(before, world.everything(), "and nothing is made");
    assert_eq!(limited(&world.admin, ask("there", "a", 10)), (true, 9));
    // The permissions come first.
    let client = world.root_key(&[format!("ratelimit.{there}.limit"), format!("ratelimit.{id}.limit")]);
    client
        .call(MULTI, json!([ask("there", "a", 10), ask("gone", "a", 10)]))
        .refused(410, "unkey/data/ratelimit_namespace_gone");
    client.call(MULTI, body).refused(403, "unkey/authorization/insufficient_permissions");
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let items = |n: usize| (0..n).map(|i| ask("n", &i.to_string(), 1)).collect::<Vec<_>>();
    let (passed, each) = outcome(&world.admin.ok(MULTI, json!(items(100))));
    assert!(passed && each == vec![(true, 0); 100]);
    for (body, location) in [
        (json!(items(101)), "body"),
        (json!([]), "body"),
        (json!({}), "body"),
        (ask("n", "a", 1), "body"),
        (json!(["x"]), "body[0]"),
        (json!([ask("n", "a", 0)]), "body[0].limit"),
        (json!([ask("n", "a", 1), ask("n", "", 1)]), "body[1].identifier"),
        (json!([ask_with(ask("n", "a", 1), json!({"limit": 1.0}))]), "body[0].limit"),
        (json!([ask_with(ask("n", "a", 1), json!({"namespace": "a\u{0}"}))]), "body[0].namespace"),
        (json!([ask_with(ask("n", "a", 1), json!({"more": 1}))]), "body[0].more"),
        (json!([{"namespace": "n", "identifier": "a", "limit": 1}]), "body[0].duration"),
    ] {
        let answer = world.admin.call(MULTI, body.clone());
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [location], "{body}");
    }
    assert_eq!(limited(&world.admin, ask("n", "a", 1)), (true, 0), "nothing was counted");
}
