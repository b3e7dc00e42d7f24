//! Rate limits and credits in `keys.verifyKey` (keys.md sections 6, 8 and 9, decisions.md #26, #28, #29, #44).

use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::server::Options;
use crate::harness::server::Server;
use chrono::Duration;
use serde_json::Value;
use serde_json::json;

const HOUR_MS: i64 = 3_600_000;

/// A server whose clock stands at the beginning of an hour: what the test itself takes hardly counts in such a window.
fn on_the_hour() -> Server {
    let server = Options::default().start();
    align(&server, HOUR_MS);
    server
}

/// Moves the clock to the beginning of the next window of this length.
fn align(server: &Server, duration_ms: i64) {
    let now = server.clock.now().timestamp_millis();
    server.clock.advance(Duration::milliseconds(duration_ms - now % duration_ms));
}

fn hourly(name: &str, limit: i64, auto_apply: bool) -> Value {
    json!({"name": name, "limit": limit, "duration": HOUR_MS, "autoApply": auto_apply})
}

fn verify_with(world: &World<'_>, key: &MadeKey, fields: Value) -> Value {
    let mut body = json!({"key": key.plaintext});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    world.admin.ok("keys.verifyKey", body)
}

/// `(code, [(limit, remaining, exceeded)])`
fn summary(data: &Value) -> (String, Vec<(String, i64, bool)>) {
    let limits = data["ratelimits"].as_array().cloned().unwrap_or_default();
    let limits = limits.iter().map(|limit| {
        let name = limit["name"].as_str().unwrap().to_owned();
        (name, limit["remaining"].as_i64().unwrap(), limit["exceeded"].as_bool().unwrap())
    });
    (data["code"].as_str().unwrap().to_owned(), limits.collect())
}

fn said(code: &str, limits: &[(&str, i64, bool)]) -> (String, Vec<(String, i64, bool)>) {
    (
        code.to_owned(),
        limits.iter().map(|(name, remaining, exceeded)| ((*name).to_owned(), *remaining, *exceeded)).collect(),
    )
}

#[test]
fn a_limit_that_applies_by_itself_admits_exactly_its_number() {
    let server = on_the_hour();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"ratelimits": [hourly("requests", 3, true), hourly("silent", 1, false)]}));
    for left in [2, 1, 0] {
        assert_eq!(summary(&world.verify(&key.plaintext)), said("VALID", &[("requests", left, false)]));
    }
    let data = world.verify(&key.plaintext);
    assert_eq!(summary(&data), said("RATE_LIMITED", &[("requests", 0, true)]));
    let limit = &data["ratelimits"][0];
    assert!(limit["id"].as_str().unwrap().starts_with("rl_"));
    assert_eq!((&limit["limit"], &limit["duration"], &limit["autoApply"]), (&json!(3), &json!(HOUR_MS), &json!(true)));
    let (reset, now) = (limit["reset"].as_i64().unwrap(), server.clock.now().timestamp_millis());
    assert_eq!(reset % HOUR_MS, 0);
    assert!(reset > now && reset <= now + HOUR_MS);
    // The former window weighs in: half way through the next one 3 × ½ of it count as one.
    server.clock.advance(Duration::milliseconds(HOUR_MS + HOUR_MS / 2));
    let codes: Vec<_> = (0..3).map(|_| world.verdict(&key.plaintext)).collect();
    assert_eq!(codes, ["VALID", "VALID", "RATE_LIMITED"]);
}

#[test]
fn a_named_limit_counts_once_with_the_cost_of_the_request() {
    let server = on_the_hour();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"ratelimits": [hourly("auto", 10, true), hourly("tokens", 100, false)]}));
    let ask = |limits: Value| summary(&verify_with(&world, &key, json!({"ratelimits": limits})));
    let auto = |left| ("auto", left, false);
    assert_eq!(ask(json!([{"name": "tokens", "cost": 40}])), said("VALID", &[auto(9), ("tokens", 60, false)]));
    // Named, the one that applies by itself is evaluated once, not twice.
    assert_eq!(ask(json!([{"name": "auto", "cost": 4}])), said("VALID", &[auto(5)]));
    // Of a name that comes twice the last one counts; a cost of its own is not needed.
    assert_eq!(
        ask(json!([{"name": "tokens", "cost": 99}, {"name": "tokens"}])),
        said("VALID", &[auto(4), ("tokens", 59, false)])
    );
    // Nothing is taken when one of them refuses; what would have passed shows what it has.
    assert_eq!(ask(json!([{"name": "tokens", "cost": 60}])), said("RATE_LIMITED", &[auto(4), ("tokens", 0, true)]));
    assert_eq!(ask(json!([{"name": "tokens", "cost": 59}])), said("VALID", &[auto(3), ("tokens", 0, false)]));
    // Without a cost it tests: exactly at the limit that passes.
    assert_eq!(
        ask(json!([{"name": "tokens", "cost": 0}, {"name": "auto", "cost": 0}])),
        said("VALID", &[auto(3), ("tokens", 0, false)])
    );
    assert_eq!(ask(json!([{"name": "auto", "cost": i64::MAX}])), said("RATE_LIMITED", &[("auto", 0, true)]));
    assert_eq!(ask(json!([{"name": "auto", "cost": 3, "unknown": 1}])), said("VALID", &[auto(0)]));
}

#[test]
fn the_keys_definition_of_a_name_wins_over_its_owners() {
    let server = on_the_hour();
    let world = World::on(&server);
    world.admin.ok(
        "identities.createIdentity",
        json!({"externalId": "owner", "ratelimits": [hourly("both", 1, true), hourly("owners", 5, true)]}),
    );
    let (api, other) = (world.api(), world.api());
    let hiding = world.key(&api, json!({"externalId": "owner", "ratelimits": [hourly("both", 7, false)]}));
    let plain = world.key(&other, json!({"externalId": "owner"}));
    // Its own definition is not applied by itself, and silences the owner's.
    let data = world.verify(&hiding.plaintext);
    assert_eq!(summary(&data), said("VALID", &[("owners", 4, false)]));
    let shown: Vec<_> = data["identity"]["ratelimits"].as_array().unwrap().iter().map(|l| l["name"].clone()).collect();
    assert_eq!(shown, ["owners"]);
    // The owner's counter is one for all of its keys, over all APIs.
    assert_eq!(summary(&world.verify(&plain.plaintext)), said("VALID", &[("both", 0, false), ("owners", 3, false)]));
    assert_eq!(
        summary(&verify_with(&world, &hiding, json!({"ratelimits": [{"name": "both", "cost": 7}]}))),
        said("VALID", &[("both", 0, false), ("owners", 2, false)])
    );
    assert_eq!(
        summary(&world.verify(&plain.plaintext)),
        said("RATE_LIMITED", &[("both", 0, true), ("owners", 2, false)])
    );
    // The same name on two keys is two counters.
    let twin = world.key(&api, json!({"ratelimits": [hourly("both", 7, false)]}));
    assert_eq!(
        summary(&verify_with(&world, &twin, json!({"ratelimits": [{"name": "both"}]}))),
        said("VALID", &[("both", 6, false)])
    );
}

#[test]
fn a_limit_that_the_request_brings_along_needs_no_stored_one() {
    let server = on_the_hour();
    let world = World::on(&server);
    world
        .admin
        .ok("identities.createIdentity", json!({"externalId": "owner", "ratelimits": [hourly("owners", 5, false)]}));
    let api = world.api();
    let key = world.key(&api, json!({"externalId": "owner", "ratelimits": [hourly("stored", 10, true)]}));
    let twin = world.key(&api, json!({"externalId": "owner"}));
    let inline = |name: &str, limit: i64| json!({"ratelimits": [{"name": name, "limit": limit, "duration": HOUR_MS}]});
    let data = verify_with(&world, &key, inline("invented", 2));
    assert_eq!(summary(&data), said("VALID", &[("invented", 1, false), ("stored", 9, false)]));
    let invented = &data["ratelimits"][0];
    assert_eq!((&invented["id"], &invented["autoApply"]), (&json!(""), &json!(false)));
    // With the stored duration it shares the stored counter; changing only the limit keeps the count.
    assert_eq!(summary(&verify_with(&world, &key, inline("stored", 3))), said("VALID", &[("stored", 1, false)]));
    assert_eq!(summary(&world.verify(&key.plaintext)), said("VALID", &[("stored", 7, false)]));
    // Under the name of the owner's limit it counts for this key alone.
    for (key, left) in [(&key, 0), (&twin, 0)] {
        let limits = verify_with(&world, key, inline("owners", 1))["ratelimits"].clone();
        let owners = limits.as_array().unwrap().iter().find(|limit| limit["name"] == "owners").unwrap().clone();
        assert_eq!((owners["remaining"].as_i64(), &owners["exceeded"]), (Some(left), &json!(false)));
    }
    // Another duration is another count.
    let daily = json!({"ratelimits": [{"name": "stored", "limit": 3, "duration": 24 * HOUR_MS}]});
    assert_eq!(summary(&verify_with(&world, &key, daily)), said("VALID", &[("stored", 2, false)]));
}

#[test]
fn one_of_limit_and_duration_is_completed_from_the_stored_one() {
    let server = on_the_hour();
    let world = World::on(&server);
    world
        .admin
        .ok("identities.createIdentity", json!({"externalId": "owner", "ratelimits": [hourly("owners", 5, false)]}));
    let api = world.api();
    let (one, two) = (world.key(&api, json!({"externalId": "owner"})), world.key(&api, json!({"externalId": "owner"})));
    let data = verify_with(&world, &one, json!({"ratelimits": [{"name": "owners", "limit": 9}]}));
    assert_eq!(summary(&data), said("VALID", &[("owners", 8, false)]));
    assert!(data["ratelimits"][0]["id"].as_str().unwrap().starts_with("rl_"), "it stays the stored limit");
    // It still is the owner's counter.
    let named = json!({"ratelimits": [{"name": "owners"}]});
    assert_eq!(summary(&verify_with(&world, &two, named.clone())), said("VALID", &[("owners", 3, false)]));
    let shorter = json!({"ratelimits": [{"name": "owners", "duration": 1000}]});
    assert_eq!(summary(&verify_with(&world, &one, shorter)), said("VALID", &[("owners", 4, false)]));
    let before = verify_with(&world, &two, json!({"ratelimits": [{"name": "owners", "cost": 0}]}));
    for fields in [json!({}), json!({"limit": 5}), json!({"duration": 5000})] {
        let mut limit = json!({"name": "nothing", "cost": 1});
        limit.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let body = json!({"key": one.plaintext, "ratelimits": [{"name": "owners"}, limit]});
        let answer = world.admin.call("keys.verifyKey", body);
        assert_eq!((answer.status, answer.code()), (412, "unkey/application/precondition_failed"));
        assert!(answer.detail().contains("'nothing'"), "{}", answer.detail());
    }
    assert_eq!(verify_with(&world, &two, json!({"ratelimits": [{"name": "owners", "cost": 0}]})), before);
    // What comes earlier in the order of checks hides it.
    world.admin.ok("keys.updateKey", json!({"keyId": one.id, "enabled": false}));
    assert_eq!(verify_with(&world, &one, json!({"ratelimits": [{"name": "nothing"}]}))["code"], "DISABLED");
}

#[test]
fn nothing_passes_a_limit_of_0_and_no_window_is_shorter_than_a_second() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"ratelimits": [hourly("stored", 10, false)]}));
    for limit in [
        json!({"name": "stored", "limit": 0}),
        json!({"name": "stored", "limit": 0, "cost": 0}),
        json!({"name": "invented", "limit": 0, "duration": 1000, "cost": 0}),
    ] {
        let data = verify_with(&world, &key, json!({"ratelimits": [limit]}));
        assert_eq!((&data["code"], &data["ratelimits"][0]["exceeded"]), (&json!("RATE_LIMITED"), &json!(true)));
    }
    for (field, value) in [("duration", 999), ("limit", -1), ("cost", -1)] {
        let mut limit = json!({"name": "stored", "limit": 1, "duration": 1000});
        limit[field] = json!(value);
        let answer = world.admin.call("keys.verifyKey", json!({"key": key.plaintext, "ratelimits": [limit]}));
        assert_eq!((answer.status, answer.locations()), (400, vec![format!("body.ratelimits[0].{field}").as_str()]));
    }
}

#[test]
fn credits_are_spent_by_valid_calls_alone() {
    let server = on_the_hour();
    let world = World::on(&server);
    let key =
        world.key(&world.api(), json!({"credits": {"remaining": 10}, "ratelimits": [hourly("requests", 4, true)]}));
    let spend = |cost: i64| {
        let data = verify_with(&world, &key, json!({"credits": {"cost": cost}}));
        (
            data["code"].as_str().unwrap().to_owned(),
            data["credits"].as_i64().unwrap(),
            data["ratelimits"][0]["remaining"].as_i64().unwrap(),
        )
    };
    let word = |code: &str, credits: i64, tokens: i64| (code.to_owned(), credits, tokens);
    let data = world.verify(&key.plaintext);
    assert_eq!((&data["code"], &data["credits"]), (&json!("VALID"), &json!(9)));
    assert_eq!(spend(4), word("VALID", 5, 2));
    // Refused for its price, it costs nothing at all: the limit shows what it had before.
    assert_eq!(spend(6), word("USAGE_EXCEEDED", 5, 2));
    assert_eq!(spend(1_000_000_000_000), word("USAGE_EXCEEDED", 5, 2));
    assert_eq!(spend(0), word("VALID", 5, 1));
    assert_eq!(spend(5), word("VALID", 0, 0));
    // Refused by the limit, it costs no credits.
    world.admin.ok("keys.updateCredits", json!({"keyId": key.id, "operation": "set", "value": 3}));
    assert_eq!(spend(1), word("RATE_LIMITED", 3, 0));
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "ratelimits": []}));
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "enabled": false}));
    let data = world.verify(&key.plaintext);
    assert_eq!((&data["code"], &data["credits"]), (&json!("DISABLED"), &json!(3)));
    assert_eq!(world.get_key(&key.id)["credits"], json!({"remaining": 3}));
    for cost in [json!(-1), json!(1_000_000_000_001_i64), json!(1.5), json!(null)] {
        let body = json!({"key": key.plaintext, "credits": {"cost": cost}});
        let answer = world.admin.call("keys.verifyKey", body);
        assert_eq!((answer.status, answer.locations()), (400, vec!["body.credits.cost"]));
    }
}

#[test]
fn a_key_without_a_balance_is_not_limited_by_any_cost() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    let data = verify_with(&world, &key, json!({"credits": {"cost": 1_000_000}}));
    assert_eq!((&data["code"], data.get("credits")), (&json!("VALID"), None));
}

#[test]
fn an_empty_balance_admits_what_costs_nothing() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"credits": {"remaining": 0}}));
    assert_eq!(world.verdict(&key.plaintext), "USAGE_EXCEEDED");
    let data = verify_with(&world, &key, json!({"credits": {"cost": 0}}));
    assert_eq!((&data["code"], &data["credits"]), (&json!("VALID"), &json!(0)));
}

#[test]
fn a_refill_comes_with_the_spend_that_needs_it() {
    let server = Options::default().start();
    align(&server, 24 * HOUR_MS);
    let world = World::on(&server);
    let refill = json!({"interval": "daily", "amount": 3});
    let key = world.key(&world.api(), json!({"credits": {"remaining": 1, "refill": refill}}));
    let credits = || {
        let data = world.verify(&key.plaintext);
        (data["code"].as_str().unwrap().to_owned(), data["credits"].as_i64().unwrap())
    };
    let word = |code: &str, credits: i64| (code.to_owned(), credits);
    assert_eq!(credits(), word("VALID", 0));
    assert_eq!(credits(), word("USAGE_EXCEEDED", 0));
    align(&server, 24 * HOUR_MS);
    assert_eq!(world.get_key(&key.id)["credits"]["remaining"], 3);
    assert_eq!(credits(), word("VALID", 2));
    // However long nobody asks, it is one refill to the amount.
    server.clock.advance(Duration::days(400));
    assert_eq!(
        (credits(), credits(), credits(), credits()),
        (word("VALID", 2), word("VALID", 1), word("VALID", 0), word("USAGE_EXCEEDED", 0))
    );
}

#[test]
fn a_limit_holds_for_calls_that_come_all_at_once() {
    let server = on_the_hour();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"ratelimits": [hourly("few", 20, true), hourly("many", 1000, true)]}));
    let codes: Vec<String> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..10).map(|_| world.verdict(&key.plaintext)).collect::<Vec<_>>()))
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| *code == "VALID").count(), 20);
    assert_eq!(codes.iter().filter(|code| *code == "RATE_LIMITED").count(), 60);
    let many =
        verify_with(&world, &key, json!({"ratelimits": [{"name": "many", "cost": 0}, {"name": "few", "cost": 0}]}));
    assert_eq!(summary(&many), said("VALID", &[("few", 0, false), ("many", 980, false)]));
}
