//! `keys.updateCredits`.

use crate::harness::Answer;
use crate::harness::World;
use crate::harness::server::Options;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;

const UPDATE: &str = "keys.updateCredits";
const INVALID: &str = "unkey/application/invalid_input";
const MOST: i64 = i64::MAX;

/// A key with these credits; null for none.
fn key(world: &World<'_>, credits: Value) -> String {
    let fields = if credits.is_null() { json!({}) } else { json!({"credits": credits}) };
    world.key(&world.api(), fields).id
}

fn call(world: &World<'_>, key: &str, operation: &str, value: Value) -> Answer {
    world.admin.call(UPDATE, json!({"keyId": key, "operation": operation, "value": value}))
}

#[test]
fn the_answer_is_what_get_key_shows() {
    let world = World::new();
    let refill = json!({"interval": "monthly", "amount": 50, "refillDay": 31});
    let limited = |remaining: i64| json!({"remaining": remaining});
    let refilled = |remaining: i64| json!({"remaining": remaining, "refill": refill});
    let unlimited = json!({"remaining": null});
    for (before, operation, value, expected) in [
        (json!(null), "set", json!(7), limited(7)),
        (json!(null), "set", json!(null), unlimited.clone()),
        (limited(5), "set", json!(0), limited(0)),
        (limited(5), "set", json!(MOST), limited(MOST)),
        (limited(5), "set", json!(null), unlimited.clone()),
        (refilled(60), "set", json!(7), refilled(7)),
        (refilled(60), "set", json!(null), unlimited.clone()),
        (limited(5), "increment", json!(0), limited(5)),
        (limited(5), "increment", json!(2), limited(7)),
        (limited(0), "increment", json!(MOST), limited(MOST)),
        (limited(MOST), "increment", json!(0), limited(MOST)),
        (refilled(60), "increment", json!(1), refilled(61)),
        (limited(5), "decrement", json!(0), limited(5)),
        (limited(5), "decrement", json!(2), limited(3)),
        (limited(5), "decrement", json!(5), limited(0)),
        (limited(5), "decrement", json!(6), limited(0)),
        (limited(5), "decrement", json!(MOST), limited(0)),
        (limited(MOST), "decrement", json!(MOST), limited(0)),
        (refilled(60), "decrement", json!(100), refilled(0)),
    ] {
        let key = key(&world, before.clone());
        let answer = call(&world, &key, operation, value.clone());
        assert_eq!(answer.data(), &expected, "{before} {operation} {value}: {}", answer.text);
        let shown = world.get_key(&key).get("credits").cloned().unwrap_or_else(|| unlimited.clone());
        assert_eq!(shown, expected, "{before} {operation} {value}");
    }
}

#[test]
fn a_set_without_a_value_is_one_of_null() {
    let world = World::new();
    let key = key(&world, json!({"remaining": 5, "refill": {"interval": "daily", "amount": 50}}));
    let data = world.admin.ok(UPDATE, json!({"keyId": key, "operation": "set"}));
    assert_eq!(data, json!({"remaining": null}));
    assert!(world.get_key(&key).get("credits").is_none());
    // The refills are gone for good, and do not come back with a balance.
    assert_eq!(call(&world, &key, "set", json!(1)).data(), &json!({"remaining": 1}));
}

#[test]
fn refusals_are_located_and_change_nothing() {
    let world = World::new();
    let limited = key(&world, json!({"remaining": MOST - 5}));
    let unlimited = key(&world, json!(null));
    let before = world.everything();
    for (key, operation, value, place) in [
        (&limited, json!("increment"), json!(null), "body.value"),
        (&limited, json!("decrement"), json!(null), "body.value"),
        (&limited, json!("increment"), json!(6), "body.value"),
        (&limited, json!("increment"), json!(MOST), "body.value"),
        (&unlimited, json!("increment"), json!(1), "body.operation"),
        (&unlimited, json!("decrement"), json!(1), "body.operation"),
        (&limited, json!("set"), json!(-1), "body.value"),
        (&limited, json!("set"), json!(1.5), "body.value"),
        (&limited, json!("set"), json!(1.0), "body.value"),
        (&limited, json!("set"), json!("1"), "body.value"),
        (&limited, json!("set"), json!(1_u64 << 63), "body.value"),
        (&limited, json!("add"), json!(1), "body.operation"),
        (&limited, json!("Set"), json!(1), "body.operation"),
        (&limited, json!(null), json!(1), "body.operation"),
    ] {
        let answer = world.admin.call(UPDATE, json!({"keyId": key, "operation": operation, "value": value}));
        answer.refused(400, INVALID);
        let mut places = answer.locations();
        places.dedup();
        assert_eq!(places, [place], "{operation} {value}");
    }
    let absent = world.admin.call(UPDATE, json!({"keyId": limited, "operation": "increment"}));
    assert_eq!(absent.refused(400, INVALID).locations(), ["body.value"]);
    let answer = world.admin.call(UPDATE, json!({"keyId": limited, "Value": 1}));
    let places: BTreeSet<_> = answer.refused(400, INVALID).locations().into_iter().collect();
    assert_eq!(places, BTreeSet::from(["body.Value", "body.operation"]));
    assert_eq!(world.everything(), before);
}

#[test]
fn whether_there_is_such_a_key_comes_before_what_is_wrong_with_the_request() {
    let world = World::new();
    let unlimited = key(&world, json!(null));
    let body = json!({"keyId": unlimited, "operation": "increment"});
    let stranger = world.root_key(&["api.api_1.update_key"]);
    stranger.call(UPDATE, body.clone()).refused(404, "unkey/data/key_not_found");
    let reader = world.root_key(&["api.api_1.update_key", "api.*.read_key"]);
    reader.call(UPDATE, body.clone()).refused(403, "unkey/authorization/insufficient_permissions");
    world.admin.call(UPDATE, body).refused(400, INVALID);
    world.admin.ok("keys.deleteKey", json!({"keyId": unlimited}));
    call(&world, &unlimited, "set", json!(1)).refused(404, "unkey/data/key_not_found");
}

#[test]
fn each_change_is_one_audit_row_and_moves_updated_at() {
    let server = Options::default().start();
    let world = World::on(&server);
    let key = key(&world, json!({"remaining": 5}));
    let mut last = world.get_key(&key)["createdAt"].as_i64().unwrap();
    for (operation, value) in [("set", 9), ("set", 9), ("increment", 0), ("decrement", 1)] {
        server.clock.advance(chrono::Duration::minutes(1));
        let answer = call(&world, &key, operation, json!(value));
        let rows = world.rows(
            "SELECT event, correlation_id, resources FROM audit_log WHERE workspace_id = $ws ORDER BY id DESC LIMIT 1",
        );
        assert_eq!(
            (&rows[0]["event"], &rows[0]["correlation_id"]),
            (&json!("key.update"), &answer.body["meta"]["requestId"])
        );
        assert_eq!(rows[0]["resources"][0], json!({"type": "key", "id": key}));
        let moved = world.get_key(&key)["updatedAt"].as_i64().unwrap();
        assert!(moved >= last + 60_000, "{last} {moved}");
        last = moved;
    }
    assert_eq!(world.audit(), ["api.create", "key.create", "key.update", "key.update", "key.update", "key.update"]);
}

#[test]
fn due_refills_come_first_and_a_set_is_final() {
    let server = Options::default().start();
    let world = World::on(&server);
    let refill = json!({"interval": "daily", "amount": 50});
    for (operation, value, expected) in
        [("increment", 5, 55), ("decrement", 5, 45), ("decrement", 60, 0), ("set", 5, 5), ("set", 90, 90)]
    {
        let key = key(&world, json!({"remaining": 10, "refill": refill}));
        server.clock.advance(chrono::Duration::days(2));
        let credits = json!({"remaining": expected, "refill": refill});
        assert_eq!(call(&world, &key, operation, json!(value)).data(), &credits, "{operation} {value}");
        assert_eq!(world.get_key(&key)["credits"], credits, "no refill of before comes afterwards");
        server.clock.advance(chrono::Duration::days(1));
        assert_eq!(world.get_key(&key)["credits"]["remaining"], expected.max(50), "the next one comes");
    }
}

#[test]
fn disabled_and_expired_keys_have_credits_too() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"enabled": false, "expires": 1, "credits": {"remaining": 1}})).id;
    assert_eq!(call(&world, &key, "increment", json!(1)).data(), &json!({"remaining": 2}));
}

#[test]
fn changes_from_many_clients_add_up_exactly() {
    const CLIENTS: i64 = 8;
    const EACH: i64 = 12;
    let world = World::new();
    let key = key(&world, json!({"remaining": 10_000}));
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (world, key) = (&world, &key);
                scope.spawn(move || {
                    let steps = (0..EACH).map(|step| {
                        let (operation, value) =
                            if step % 3 == 2 { ("decrement", 1) } else { ("increment", 1 << client) };
                        call(world, key, operation, json!(value)).data()["remaining"].as_i64().unwrap()
                    });
                    steps.collect::<Vec<_>>()
                })
            })
            .collect();
        // Spends, as far as the row is concerned.
        for _ in 0..50 {
            world.execute(&format!("UPDATE credits SET remaining = remaining - 1 WHERE key_id = '{key}'"));
        }
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(i64::try_from(answers.len()), Ok(CLIENTS * EACH));
    let increments: i64 = (0..CLIENTS).map(|client| (1 << client) * EACH / 3 * 2).sum();
    let expected = 10_000 + increments - CLIENTS * EACH / 3 - 50;
    assert_eq!(world.get_key(&key)["credits"]["remaining"], expected);
    assert!(answers.iter().all(|remaining| (10_000 - 82..=10_000 + increments).contains(remaining)), "{answers:?}");
}

#[test]
fn an_acknowledged_set_is_not_undone_by_what_came_before_it() {
    let world = World::new();
    let key = key(&world, json!({"remaining": 1_000}));
    for round in 0..10 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(call(&world, &key, "decrement", json!(1)).status, 200));
            }
            let set = scope.spawn(|| call(&world, &key, "set", json!(500)).data()["remaining"].clone());
            assert_eq!(set.join().unwrap(), 500);
        });
        let left = world.get_key(&key)["credits"]["remaining"].as_i64().unwrap();
        assert!((496..=500).contains(&left), "round {round}: {left}");
        assert_eq!(call(&world, &key, "set", json!(1_000)).status, 200);
    }
}

#[test]
fn limiting_an_unlimited_key_from_many_clients_ends_with_one_of_the_values() {
    let world = World::new();
    let key = key(&world, json!(null));
    std::thread::scope(|scope| {
        for value in 0..8 {
            let (world, key) = (&world, &key);
            scope.spawn(move || {
                let value = if value == 7 { json!(null) } else { json!(value) };
                assert_eq!(call(world, key, "set", value.clone()).data(), &json!({"remaining": value}));
            });
        }
    });
    let shown = world.get_key(&key).get("credits").cloned();
    assert!(shown.is_none_or(|credits| (0..7).contains(&credits["remaining"].as_i64().unwrap())));
}
