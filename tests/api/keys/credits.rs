//! Credits of keys: given, shown, refilled, changed, copied (keys.md sections 4, 9, 11).

use crate::harness::Server;
use crate::harness::World;
use crate::harness::server::Options;
use crate::migrations::import;
use crate::migrations::migration;
use crate::migrations::sha256;
use chrono::DateTime;
use chrono::Duration;
use chrono::Utc;
use serde_json::Value;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";
const MOST: i64 = i64::MAX;

fn daily(amount: i64) -> Value {
    json!({"interval": "daily", "amount": amount})
}

fn monthly(amount: i64, day: i64) -> Value {
    json!({"interval": "monthly", "amount": amount, "refillDay": day})
}

fn limited(remaining: i64, refill: Value) -> Value {
    json!({"remaining": remaining, "refill": refill})
}

/// Moves the server's clock to a moment.
fn travel(server: &Server, moment: &str) {
    let moment: DateTime<Utc> = moment.parse().unwrap();
    server.clock.advance(moment - server.clock.now());
}

/// A server on a day on which no test runs, and a world on it.
fn server_at(moment: &str) -> Server {
    let server = Options::default().start();
    travel(&server, moment);
    server
}

fn shown(world: &World<'_>, key: &str) -> Option<Value> {
    world.get_key(key).get("credits").cloned()
}

fn remaining(world: &World<'_>, key: &str) -> i64 {
    world.get_key(key)["credits"]["remaining"].as_i64().unwrap()
}

#[test]
fn what_a_key_is_given_is_shown_wherever_keys_are_shown() {
    let world = World::new();
    let migration = migration(&world, "sha256");
    for (number, (given, expected)) in [
        (json!({"remaining": 0}), json!({"remaining": 0})),
        (json!({"remaining": MOST}), json!({"remaining": MOST})),
        (limited(5, daily(1)), limited(5, daily(1))),
        (limited(5, json!({"interval": "daily", "amount": 9, "refillDay": 31})), limited(5, daily(9))),
        (limited(0, monthly(MOST, 1)), limited(0, monthly(MOST, 1))),
        (limited(5, monthly(9, 31)), limited(5, monthly(9, 31))),
        (json!({"remaining": null}), json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let api = world.api();
        let key = world.key(&api, json!({"credits": given}));
        let secret = format!("imported {number}");
        let hash = json!([{"hash": sha256(&secret), "credits": given}]);
        let imported = import(&world, &migration, &api, hash)[0].clone();
        for (id, plaintext) in [(key.id, key.plaintext), (imported, secret)] {
            let get = world.get_key(&id);
            assert_eq!(get["credits"], expected, "{given}");
            assert_eq!(get.get("credits").is_none(), expected.is_null(), "absent is unlimited");
            assert_eq!(world.admin.ok("keys.whoami", json!({"key": plaintext})), get);
            assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api, "cursor": id, "limit": 1}))[0], get);
        }
    }
}

/// Faults of `credits` and where they stand below it.
fn faults() -> Vec<(Value, &'static str)> {
    let refill = |refill: Value| json!({"remaining": 1, "refill": refill});
    vec![
        (json!([]), ""),
        (json!(5), ""),
        (json!({"remaining": -1}), ".remaining"),
        (json!({"remaining": 1.5}), ".remaining"),
        (json!({"remaining": 1.0}), ".remaining"),
        (json!({"remaining": "1"}), ".remaining"),
        (json!({"remaining": 1_u64 << 63}), ".remaining"),
        (json!({"remaining": 1, "Refill": null}), ".Refill"),
        (refill(json!([])), ".refill"),
        (refill(json!({"interval": "daily"})), ".refill.amount"),
        (refill(json!({"amount": 1})), ".refill.interval"),
        (refill(json!({"interval": "daily", "amount": 0})), ".refill.amount"),
        (refill(json!({"interval": "daily", "amount": null})), ".refill.amount"),
        (refill(json!({"interval": "daily", "amount": 1_u64 << 63})), ".refill.amount"),
        (refill(json!({"interval": "weekly", "amount": 1})), ".refill.interval"),
        (refill(json!({"interval": "monthly", "amount": 1})), ".refill.refillDay"),
        (refill(json!({"interval": "monthly", "amount": 1, "refillDay": null})), ".refill.refillDay"),
        (refill(json!({"interval": "monthly", "amount": 1, "refillDay": 0})), ".refill.refillDay"),
        (refill(json!({"interval": "monthly", "amount": 1, "refillDay": 32})), ".refill.refillDay"),
        (refill(json!({"interval": "monthly", "amount": 1, "refillDay": 1, "day": 1})), ".refill.day"),
        (json!({"remaining": null, "refill": {"interval": "daily", "amount": 1}}), ".refill"),
    ]
}

#[test]
fn what_cannot_be_is_refused_where_it_stands_and_nothing_is_made() {
    let world = World::new();
    let (api, migration) = (world.api(), migration(&world, "sha256"));
    let before = world.everything();
    let only_new = [(json!(null), ""), (json!({}), ".remaining"), (json!({"remaining": 1, "refill": null}), ".refill")];
    for (credits, place) in faults().into_iter().chain(only_new) {
        let fields = json!({"apiId": api, "externalId": "new", "permissions": ["new"], "credits": credits});
        let answer = world.admin.call("keys.createKey", fields);
        assert_eq!(answer.refused(400, INVALID).locations(), [format!("body.credits{place}")], "{credits}");
        let keys = json!([{"hash": sha256("a")}, {"hash": sha256("b"), "externalId": "new", "credits": credits}]);
        let answer =
            world.admin.call("keys.migrateKeys", json!({"apiId": api, "migrationId": migration, "keys": keys}));
        assert_eq!(answer.refused(400, INVALID).locations(), [format!("body.keys[1].credits{place}")], "{credits}");
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn a_refusal_says_what_to_do() {
    let world = World::new();
    let credits = json!({"remaining": null, "refill": daily(1)});
    let answer = world.admin.call("keys.createKey", json!({"apiId": world.api(), "credits": credits}));
    let fault = &answer.refused(400, INVALID).body["error"]["errors"][0];
    assert_eq!(fault["location"], "body.credits.refill");
    assert_eq!(fault["fix"], "Set `credits.remaining` to a number too, or leave the refill out.");
}

// ---- updateKey

#[test]
fn absent_keeps_null_clears_and_a_value_sets() {
    let world = World::new();
    let api = world.api();
    let none = json!(null);
    let (plain, refilled) = (json!({"remaining": 5}), limited(5, monthly(9, 31)));
    for (before, change, expected) in [
        // Of an unlimited key.
        (&none, json!(null), none.clone()),
        (&none, json!({}), none.clone()),
        (&none, json!({"remaining": null}), none.clone()),
        (&none, json!({"refill": null}), none.clone()),
        (&none, json!({"remaining": null, "refill": null}), none.clone()),
        (&none, json!({"remaining": 3}), json!({"remaining": 3})),
        (&none, json!({"remaining": 3, "refill": null}), json!({"remaining": 3})),
        (&none, limited(3, daily(4)), limited(3, daily(4))),
        // Of a limited one.
        (&plain, json!(null), none.clone()),
        (&plain, json!({}), plain.clone()),
        (&plain, json!({"remaining": null}), none.clone()),
        (&plain, json!({"remaining": MOST}), json!({"remaining": MOST})),
        (&plain, json!({"refill": null}), plain.clone()),
        (&plain, json!({"refill": daily(4)}), limited(5, daily(4))),
        (&plain, limited(0, monthly(4, 1)), limited(0, monthly(4, 1))),
        // Of one with refills.
        (&refilled, json!(null), none.clone()),
        (&refilled, json!({}), refilled.clone()),
        (&refilled, json!({"remaining": null}), none.clone()),
        (&refilled, json!({"remaining": 3}), limited(3, monthly(9, 31))),
        (&refilled, json!({"refill": null}), plain.clone()),
        (&refilled, json!({"refill": daily(4)}), limited(5, daily(4))),
        (&refilled, json!({"remaining": 3, "refill": null}), json!({"remaining": 3})),
        (&refilled, limited(3, monthly(4, 30)), limited(3, monthly(4, 30))),
    ] {
        let fields = if before.is_null() { json!({}) } else { json!({"credits": before}) };
        let key = world.key(&api, fields).id;
        assert_eq!(world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": change})), json!({}));
        assert_eq!(shown(&world, &key).unwrap_or(Value::Null), expected, "{before} {change}");
        world.admin.ok("keys.updateKey", json!({"keyId": key}));
        assert_eq!(shown(&world, &key).unwrap_or(Value::Null), expected, "an absent field keeps");
    }
}

#[test]
fn a_change_that_cannot_be_is_refused_where_it_stands_and_nothing_changes() {
    let world = World::new();
    let api = world.api();
    let limited_key = world.key(&api, json!({"credits": limited(5, monthly(9, 31))})).id;
    let unlimited_key = world.key(&api, json!({})).id;
    let before = world.everything();
    let more =
        [(json!({"remaining": 1, "refill": {"interval": "daily", "amount": 1, "refillDay": 1}}), ".refill.refillDay")];
    for (credits, place) in faults().into_iter().chain(more) {
        for key in [&limited_key, &unlimited_key] {
            // A change that would be good on its own goes with it.
            let body = json!({"keyId": key, "enabled": false, "permissions": ["new"], "credits": credits});
            let answer = world.admin.call("keys.updateKey", body);
            assert_eq!(answer.refused(400, INVALID).locations(), [format!("body.credits{place}")], "{credits}");
        }
    }
    let limits = json!([{"name": "abc", "limit": 1, "duration": 1000}]);
    let mut body = json!({"keyId": unlimited_key, "permissions": ["new"], "ratelimits": limits});
    body["credits"] = json!({"refill": daily(1)});
    let answer = world.admin.call("keys.updateKey", body);
    assert_eq!(answer.refused(400, INVALID).locations(), ["body.credits.refill"]);
    assert!(
        answer.body["error"]["errors"][0]["fix"].as_str().unwrap().contains("credits.remaining"),
        "{}",
        answer.text
    );
    assert_eq!(world.everything(), before);
}

#[test]
fn a_change_of_credits_is_one_audit_row() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"credits": {"remaining": 1}})).id;
    world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": limited(2, daily(3))}));
    assert_eq!(world.audit(), ["api.create", "key.create", "key.update"]);
}

#[test]
fn a_new_schedule_loses_nothing_and_brings_nothing_at_once() {
    let server = server_at("2031-03-20T12:00:00Z");
    let world = World::on(&server);
    let api = world.api();
    let key = world.key(&api, json!({"credits": limited(1, daily(10))})).id;
    travel(&server, "2031-03-21T12:00:00Z");
    // Of the old schedule 10 are due; of the new one, with the 20th past, nothing.
    world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": {"refill": monthly(100, 20)}}));
    assert_eq!(remaining(&world, &key), 10);
    travel(&server, "2031-04-19T23:50:00Z");
    assert_eq!(remaining(&world, &key), 10);
    travel(&server, "2031-04-20T00:00:00Z");
    assert_eq!(remaining(&world, &key), 100);
    // Ending the refills keeps what they brought.
    world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": {"refill": null}}));
    assert_eq!(shown(&world, &key), Some(json!({"remaining": 100})));
    // A balance that is set is set, even if a refill was due in the same moment.
    world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": {"refill": daily(1000)}}));
    travel(&server, "2031-04-25T12:00:00Z");
    world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": {"remaining": 7}}));
    assert_eq!(remaining(&world, &key), 7);
    // And one that was unlimited for a year starts afresh.
    world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": null}));
    travel(&server, "2032-04-25T12:00:00Z");
    world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": limited(2, daily(50))}));
    assert_eq!(remaining(&world, &key), 2);
}

#[test]
fn changes_of_balance_and_refill_at_once_both_happen() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"credits": {"remaining": 1}})).id;
    std::thread::scope(|scope| {
        for change in [json!({"remaining": 7}), json!({"refill": daily(5)})] {
            let (world, key) = (&world, &key);
            scope.spawn(move || world.admin.ok("keys.updateKey", json!({"keyId": key, "credits": change})));
        }
    });
    assert_eq!(shown(&world, &key), Some(limited(7, daily(5))));
}

// ---- refills

#[test]
fn a_year_without_use_is_one_refill_and_not_many() {
    let server = server_at("2031-01-10T12:00:00Z");
    let world = World::on(&server);
    let api = world.api();
    let keys = [daily(10), monthly(10, 15)].map(|refill| world.key(&api, json!({"credits": limited(1, refill)})).id);
    assert!(keys.iter().all(|key| remaining(&world, key) == 1));
    travel(&server, "2032-01-10T12:00:00Z");
    assert!(keys.iter().all(|key| remaining(&world, key) == 10));
}

#[test]
fn a_larger_balance_is_left_alone() {
    let server = server_at("2031-01-10T12:00:00Z");
    let world = World::on(&server);
    let api = world.api();
    for (balance, after) in [(0, 10), (9, 10), (10, 10), (11, 11), (MOST, MOST)] {
        let key = world.key(&api, json!({"credits": limited(balance, daily(10))})).id;
        server.clock.advance(Duration::days(1));
        assert_eq!(remaining(&world, &key), after);
    }
}

#[test]
fn refills_fall_on_the_last_day_of_a_shorter_month() {
    let server = server_at("2031-01-31T12:00:00Z");
    let world = World::on(&server);
    let api = world.api();
    let keys = [28, 29, 30, 31].map(|day| world.key(&api, json!({"credits": limited(0, monthly(10, day))})).id);
    let expect = |moment: &str, refilled: [bool; 4]| {
        travel(&server, moment);
        let found = [0, 1, 2, 3].map(|at| remaining(&world, &keys[at]) == 10);
        assert_eq!(found, refilled, "{moment}");
    };
    let empty = || {
        for key in &keys {
            world.admin.ok("keys.updateCredits", json!({"keyId": key, "operation": "set", "value": 0}));
        }
    };
    expect("2031-02-27T23:50:00Z", [false; 4]);
    expect("2031-02-28T00:00:00Z", [true; 4]);
    empty();
    expect("2031-03-01T12:00:00Z", [false; 4]);
    expect("2031-03-28T00:00:00Z", [true, false, false, false]);
    expect("2031-03-29T00:00:00Z", [true, true, false, false]);
    expect("2031-03-30T00:00:00Z", [true, true, true, false]);
    expect("2031-03-31T00:00:00Z", [true; 4]);
    empty();
    expect("2031-04-29T23:50:00Z", [true, true, false, false]);
    expect("2031-04-30T00:00:00Z", [true; 4]);
    // A leap year.
    travel(&server, "2032-02-10T12:00:00Z");
    empty();
    expect("2032-02-28T12:00:00Z", [true, false, false, false]);
    expect("2032-02-29T00:00:00Z", [true; 4]);
}

#[test]
fn a_refill_comes_at_midnight_utc_to_the_millisecond() {
    let server = Options::default().start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"credits": limited(1, daily(10))})).id;
    let midnight: DateTime<Utc> = "2031-01-11T00:00:00Z".parse().unwrap();
    travel(&server, "2031-01-10T12:00:00Z");
    world.admin.ok("keys.updateCredits", json!({"keyId": key, "operation": "set", "value": 1}));
    travel(&server, "2031-01-10T23:59:59.700Z");
    loop {
        let before = server.clock.now();
        let found = remaining(&world, &key);
        let after = server.clock.now();
        if after < midnight {
            assert_eq!(found, 1, "before midnight");
        } else if before >= midnight {
            assert_eq!(found, 10, "from midnight on");
            break;
        }
    }
    // The same from the other side: what was settled at midnight has had that refill, one millisecond earlier it has not.
    for (refilled_at, expected) in [("2031-01-11T00:00:00Z", 3), ("2031-01-10T23:59:59.999Z", 10)] {
        world.execute(&format!(
            "UPDATE credits SET remaining = 3, refilled_at = '{refilled_at}' WHERE workspace_id = $ws"
        ));
        assert_eq!(remaining(&world, &key), expected);
    }
}

#[test]
fn disabled_and_expired_keys_are_refilled_too() {
    let server = server_at("2031-01-10T12:00:00Z");
    let world = World::on(&server);
    let api = world.api();
    let keys = [json!({"enabled": false}), json!({"expires": 1})].map(|mut fields| {
        fields["credits"] = limited(0, daily(10));
        world.key(&api, fields)
    });
    server.clock.advance(Duration::days(1));
    for key in keys {
        let get = world.get_key(&key.id);
        assert_eq!(get["credits"], limited(10, daily(10)));
        assert_eq!(world.admin.ok("keys.whoami", json!({"key": key.plaintext})), get);
        assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api, "cursor": key.id, "limit": 1}))[0], get);
        // It is shown; nothing is changed by showing it.
        assert!(get.get("updatedAt").is_none());
    }
    let stored = world.rows("SELECT remaining FROM credits WHERE workspace_id = $ws");
    assert_eq!(stored, [json!({"remaining": 0}), json!({"remaining": 0})]);
}

// ---- rerollKey, deleteKey

#[test]
fn a_reroll_copies_the_balance_of_now_and_shares_nothing() {
    let server = server_at("2031-01-10T12:00:00Z");
    let world = World::on(&server);
    let api = world.api();
    for (credits, copied) in [
        (json!({"remaining": 5}), json!({"remaining": 5})),
        (limited(5, daily(50)), limited(50, daily(50))),
        (limited(5, monthly(50, 31)), limited(5, monthly(50, 31))),
        (json!({"remaining": null}), json!(null)),
    ] {
        let old = world.key(&api, json!({"credits": credits})).id;
        server.clock.advance(Duration::days(1));
        let new = world.admin.ok("keys.rerollKey", json!({"keyId": old, "expiration": null}));
        let new = new["keyId"].as_str().unwrap();
        for key in [old.as_str(), new] {
            assert_eq!(shown(&world, key).unwrap_or(Value::Null), copied);
        }
        if !copied.is_null() {
            world.admin.ok("keys.updateCredits", json!({"keyId": new, "operation": "set", "value": 1}));
            assert_eq!((remaining(&world, new), &json!(remaining(&world, &old))), (1, &copied["remaining"]));
        }
    }
}

#[test]
fn an_erased_key_leaves_no_credits() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"credits": {"remaining": 5}})).id;
    world.admin.ok("keys.deleteKey", json!({"keyId": key, "permanent": true}));
    assert_eq!(world.everything()["credits"], json!([]));
}
