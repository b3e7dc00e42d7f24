//! `ratelimit.limit`.

use crate::harness::World;
use crate::harness::server::Options;
use crate::ratelimit::HOUR_MS;
use crate::ratelimit::MONTH_MS;
use crate::ratelimit::ask;
use crate::ratelimit::ask_with;
use crate::ratelimit::id_of;
use crate::ratelimit::limited;
use crate::ratelimit::move_into_next_window;
use crate::ratelimit::namespace;
use crate::ratelimit::now_ms;
use serde_json::Value;
use serde_json::json;
use std::thread;

const LIMIT: &str = "ratelimit.limit";
/// The largest cost.
const MOST: u64 = i64::MAX.unsigned_abs();

#[test]
fn a_limit_of_n_lets_exactly_n_requests_pass() {
    let world = World::new();
    for left in (0..5).rev() {
        assert_eq!(limited(&world.admin, ask("n", "a", 5)), (true, left));
    }
    for _ in 0..3 {
        let data = world.admin.ok(LIMIT, ask("n", "a", 5));
        assert_eq!((&data["success"], &data["remaining"], &data["limit"]), (&json!(false), &json!(0), &json!(5)));
        assert_eq!(data.get("overrideId"), None);
    }
}

#[test]
fn exactly_n_of_4n_concurrent_requests_pass() {
    let world = World::new();
    namespace(&world, "n");
    let passed: usize = thread::scope(|scope| {
        let calls = |()| (0..20).filter(|_| limited(&world.admin, ask("n", "a", 40)).0).count();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(move || calls(()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 40);
    assert_eq!(limited(&world.admin, ask("n", "a", 40)), (false, 0));
}

/// limit, then (cost, success, remaining) of calls in a row.
type Row = (i64, &'static [(u64, bool, i64)]);

#[test]
fn the_cost_is_what_counts_and_a_denial_costs_nothing() {
    let world = World::new();
    let rows: [Row; 6] = [
        (10, &[(3, true, 7), (7, true, 0), (1, false, 0)]),
        // With nothing left a check passes, and only above the limit it fails.
        (10, &[(10, true, 0), (0, true, 0), (0, true, 0)]),
        (10, &[(11, false, 0), (100, false, 0), (10, true, 0)]),
        // 2 are left, 3 are too many, 2 are not.
        (10, &[(8, true, 2), (3, false, 0), (3, false, 0), (2, true, 0)]),
        // No number is large enough to wrap around (weak spot 3).
        (10, &[(1, true, 9), (MOST, false, 0), (9, true, 0), (1, false, 0)]),
        (i64::MAX, &[(1, true, i64::MAX - 1), (MOST, false, 0), (0, true, i64::MAX - 1)]),
    ];
    for (index, (limit, calls)) in rows.into_iter().enumerate() {
        for (cost, success, remaining) in calls {
            let body = ask_with(ask("n", &format!("row {index}"), limit), json!({"cost": cost}));
            assert_eq!(limited(&world.admin, body), (*success, *remaining), "row {index}, cost {cost}");
        }
    }
    // What is above a lowered limit fails the check.
    limited(&world.admin, ask_with(ask("n", "lowered", 10), json!({"cost": 5})));
    assert_eq!(limited(&world.admin, ask_with(ask("n", "lowered", 4), json!({"cost": 0}))), (false, 0));
}

#[test]
fn the_window_before_weighs_in_by_its_part() {
    let server = Options::default().start();
    let world = World::on(&server);
    let hour = |identifier: &str, cost: i64| {
        limited(&world.admin, ask_with(ask("n", identifier, 10), json!({"duration": HOUR_MS, "cost": cost})))
    };
    move_into_next_window(&server, HOUR_MS, 1);
    for identifier in ["half", "end", "all", "two"] {
        assert_eq!(hour(identifier, 10), (true, 0));
    }
    move_into_next_window(&server, HOUR_MS, 1);
    // 9 of 10 still count.
    assert_eq!(hour("all", 2), (false, 0));
    assert_eq!(hour("all", 1), (true, 0));
    move_into_next_window(&server, HOUR_MS, 49);
    // In the window after next nothing of the first is left.
    assert_eq!(hour("two", 0), (true, 10));

    let world = World::on(&server);
    let hour = |identifier: &str, cost: i64| {
        limited(&world.admin, ask_with(ask("n", identifier, 10), json!({"duration": HOUR_MS, "cost": cost})))
    };
    for identifier in ["half", "end"] {
        assert_eq!(hour(identifier, 10), (true, 0));
    }
    move_into_next_window(&server, HOUR_MS, 49);
    // 5 of 10 still count: 5 are taken, and a sixth is one too many.
    assert_eq!(hour("half", 5), (true, 0));
    assert_eq!(hour("half", 1), (false, 0));
    assert_eq!(hour("end", 5), (true, 0));
    server.clock.advance(chrono::Duration::milliseconds(HOUR_MS / 2));
    // 0 of 10 count, and the 5 of this window.
    assert_eq!(hour("end", 1), (true, 4));
}

#[test]
fn reset_is_the_end_of_the_aligned_window() {
    let server = Options::default().start();
    let world = World::on(&server);
    for duration in [1000, 60_000, 100_001, HOUR_MS, MONTH_MS] {
        for cost in [1, 0, 100] {
            let before = now_ms(&server);
            let data = world.admin.ok(LIMIT, ask_with(ask("n", "a", 10), json!({"duration": duration, "cost": cost})));
            let (after, reset) = (now_ms(&server), data["reset"].as_i64().unwrap());
            assert_eq!(reset % duration, 0);
            assert!(before < reset && reset <= after + duration, "{before} {reset} {after} {duration}");
        }
    }
    move_into_next_window(&server, HOUR_MS, 30);
    let data = world.admin.ok(LIMIT, ask_with(ask("n", "a", 10), json!({"duration": HOUR_MS})));
    let start = now_ms(&server) / HOUR_MS * HOUR_MS;
    assert_eq!(data["reset"], start + HOUR_MS);
}

#[test]
fn the_limit_is_no_part_of_the_counter_and_the_duration_is() {
    let world = World::new();
    assert_eq!(limited(&world.admin, ask_with(ask("n", "a", 10), json!({"cost": 10}))), (true, 0));
    assert_eq!(limited(&world.admin, ask("n", "a", 15)), (true, 4));
    assert_eq!(limited(&world.admin, ask("n", "a", 5)), (false, 0));
    let shorter = json!({"duration": MONTH_MS - 1});
    assert_eq!(limited(&world.admin, ask_with(ask("n", "a", 5), shorter)), (true, 4));
}

#[test]
fn identifiers_namespaces_and_workspaces_count_for_themselves() {
    let (mine, theirs) = (World::new(), World::new());
    for identifier in ["a", "A", " a", "a ", "ä", "a\u{308}", "🔑", "a\nb", "'; --", "*"] {
        assert_eq!(limited(&mine.admin, ask("n", identifier, 2)), (true, 1), "{identifier:?}");
    }
    assert_eq!(limited(&mine.admin, ask("m", "a", 2)), (true, 1));
    assert_eq!(limited(&theirs.admin, ask("n", "a", 2)), (true, 1));
    // The same namespace by its id and by its name.
    assert_eq!(limited(&mine.admin, ask(&id_of(&mine, "n"), "a", 2)), (true, 0));
    // Another workspace's id is a name like any other.
    let id = id_of(&theirs, "n");
    assert_eq!(limited(&mine.admin, ask(&id, "a", 2)), (true, 1));
    assert_ne!(id_of(&mine, &id), id);
    assert_eq!(limited(&theirs.admin, ask("n", "a", 2)), (true, 0));
}

#[test]
fn names_are_taken_as_they_are() {
    let world = World::new();
    let longest = "ä".repeat(512);
    let names =
        ["n", "N", " n", "n ", "a b", "\t\r\n\u{7}", "👋🏽", "'; DROP TABLE namespaces; --", "%", longest.as_str()];
    for name in names {
        assert_eq!(limited(&world.admin, ask(name, "a", 1)), (true, 0), "{name:?}");
    }
    let stored = world.rows("SELECT name FROM namespaces WHERE workspace_id = $ws ORDER BY id");
    assert_eq!(stored, names.map(|name| json!({"name": name})));
}

#[test]
fn an_id_comes_before_an_equal_name() {
    let world = World::new();
    let id = namespace(&world, "first");
    // No call can make this one, since the id is found.
    world.execute(&format!(
        "INSERT INTO namespaces (id, workspace_id, name, created_at) VALUES ('rlns_0second', $ws, '{id}', now())"
    ));
    assert_eq!(limited(&world.admin, ask(&id, "a", 2)), (true, 1));
    assert_eq!(limited(&world.admin, ask("first", "a", 2)), (true, 0));
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    // Weak spot 4: more than 255 characters are an identifier like any other.
    let [most, more] = [512, 513].map(|n| "x".repeat(n));
    for fields in [
        json!({"identifier": most}),
        json!({"identifier": "x".repeat(256)}),
        json!({"namespace": most}),
        json!({"limit": i64::MAX}),
        json!({"duration": 1000}),
        json!({"duration": MONTH_MS}),
        json!({"cost": 0}),
        json!({"cost": i64::MAX}),
    ] {
        world.admin.ok(LIMIT, ask_with(ask("n", "a", 5), fields));
    }
    for (field, value) in [
        ("namespace", json!("")),
        ("namespace", json!(more)),
        ("namespace", json!("a\u{0}b")),
        ("identifier", json!("")),
        ("identifier", json!(more)),
        ("identifier", json!("\u{0}")),
        ("identifier", json!(1)),
        ("limit", json!(0)),
        ("limit", json!(-1)),
        ("limit", json!(1.5)),
        ("limit", json!(MOST + 1)),
        ("duration", json!(999)),
        ("duration", json!(MONTH_MS + 1)),
        ("cost", json!(-1)),
        ("cost", json!(u64::MAX)),
        ("cost", json!(1e30)),
        ("cost", Value::Null),
        ("async", json!(true)),
    ] {
        let answer = world.admin.call(LIMIT, ask_with(ask("n", "a", 5), json!({field: value})));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [format!("body.{field}")], "{}", answer.text);
    }
    let answer = world.admin.call(LIMIT, json!({}));
    let mut locations = answer.locations();
    locations.sort_unstable();
    assert_eq!(locations, ["body.duration", "body.identifier", "body.limit", "body.namespace"]);
    world.admin.call(LIMIT, json!([ask("n", "a", 5)])).refused(400, "unkey/application/invalid_input");
}

#[test]
fn the_first_call_makes_the_namespace_once() {
    let world = World::new();
    assert_eq!(limited(&world.admin, ask("n", "a", 10)), (true, 9));
    assert_eq!(limited(&world.admin, ask("n", "b", 10)), (true, 9));
    assert_eq!(world.audit(), ["ratelimitNamespace.create"]);
    let passed: usize = thread::scope(|scope| {
        let calls: Vec<_> =
            (0..8).map(|_| scope.spawn(|| usize::from(limited(&world.admin, ask("raced", "a", 5)).0))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).sum()
    });
    assert_eq!(passed, 5, "all of them counted in one namespace");
    assert_eq!(world.rows("SELECT id FROM namespaces WHERE workspace_id = $ws AND name = 'raced'").len(), 1);
    assert_eq!(world.audit(), ["ratelimitNamespace.create"; 2]);
}

#[test]
fn only_who_may_limit_everywhere_and_make_namespaces_makes_one() {
    let world = World::new();
    let id = namespace(&world, "there");
    let refused = |grants: &[&str], name: &str| {
        let before = world.everything();
        let answer = world.root_key(grants).call(LIMIT, ask(name, "a", 1));
        answer.refused(403, "unkey/authorization/insufficient_permissions");
        assert_eq!(before["namespaces"], world.everything()["namespaces"], "{grants:?}");
        (answer.body["error"]["required"].clone(), answer.body["error"]["missing"].clone())
    };
    let (limit, create) = ("ratelimit.*.limit", "ratelimit.*.create_namespace");
    let concrete = format!("ratelimit.{id}.limit");
    // Weak spot 7: without `limit` nothing is made.
    assert_eq!(refused(&[create], "new"), (json!([[limit]]), json!([limit])));
    assert_eq!(refused(&[create, &concrete], "new"), (json!([[limit]]), json!([limit])));
    assert_eq!(refused(&[limit], "new"), (json!([[limit, create]]), json!([create])));
    // An id that a grant names, and that nothing has.
    let nothing = "ratelimit.rlns_nothing.limit";
    assert_eq!(refused(&[create, nothing], "rlns_nothing"), (json!([[limit, create]]), json!([limit])));
    assert_eq!(limited(&world.root_key(&[limit, create]), ask("new", "a", 1)), (true, 0));
    assert_eq!(limited(&world.root_key(&[limit]), ask("new", "b", 1)), (true, 0));
    assert_eq!(limited(&world.root_key(&[&concrete]), ask("there", "b", 1)), (true, 0));
}

#[test]
fn a_refusal_tells_nothing_of_what_exists() {
    let world = World::new();
    let [covered, gone] = ["covered", "gone"].map(|name| namespace(&world, name));
    let id = namespace(&world, "there");
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "gone"}));
    let client = world.root_key(&[format!("ratelimit.{covered}.limit")]);
    let refused = |name: &str| {
        let answer = client.call(LIMIT, ask(name, "a", 1));
        answer.refused(403, "unkey/authorization/insufficient_permissions");
        assert!(name == id || !answer.text.contains(&id), "{}", answer.text);
        answer.without_request_id().to_string()
    };
    let there = refused("there");
    for name in ["never", "gone", "There", "rlns_of_no_form"] {
        assert_eq!(refused(name), there, "{name}");
    }
    let by_id = refused(&id);
    assert!(by_id.contains(&format!("ratelimit.{id}.limit")), "{by_id}");
    for other in [gone.as_str(), "rlns_11111111111111neverwas"] {
        assert_eq!(refused(other), by_id.replace(&id, other));
    }
}

#[test]
fn a_deleted_namespace_is_gone_for_ever() {
    let world = World::new();
    let id = namespace(&world, "n");
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "n"}));
    let covering = world.root_key(&[format!("ratelimit.{id}.limit")]);
    for client in [&world.admin, &covering] {
        for name in ["n", id.as_str()] {
            client.call(LIMIT, ask(name, "a", 1)).refused(410, "unkey/data/ratelimit_namespace_gone");
        }
    }
    assert_eq!(world.rows("SELECT id FROM namespaces WHERE workspace_id = $ws").len(), 1);
}

#[test]
fn the_metrics_header_changes_nothing() {
    let world = World::new();
    let client = world.admin.clone().header("X-Unkey-Metrics", "disabled");
    assert_eq!(limited(&client, ask("n", "a", 2)), (true, 1));
    assert_eq!(limited(&world.admin, ask("n", "a", 2)), (true, 0));
}
