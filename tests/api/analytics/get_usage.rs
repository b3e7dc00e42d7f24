//! `analytics.getUsage`: what counts, in which bucket, for whom.

use crate::analytics::DAY_MS;
use crate::analytics::around;
use crate::analytics::assert_sums_are_those_of_the_events;
use crate::analytics::counted;
use crate::analytics::limited_key;
use crate::analytics::server;
use crate::analytics::set_clock;
use crate::analytics::summed;
use crate::harness::World;
use crate::harness::fixtures::operate;
use keyward::model::id::ApiId;
use keyward::model::id::KeyId;
use keyward::model::id::RequestId;
use keyward::model::id::WriterId;
use keyward::model::verdict::Outcome;
use keyward::model::verification::Subject;
use keyward::model::verification::Verification;
use keyward::store::events;
use keyward::store::events::Batch;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;

const OUTCOMES: [&str; 7] =
    ["VALID", "FORBIDDEN", "DISABLED", "EXPIRED", "INSUFFICIENT_PERMISSIONS", "RATE_LIMITED", "USAGE_EXCEEDED"];

#[test]
fn every_verdict_on_a_known_key_counts_with_its_tags() {
    let server = server();
    let world = World::on(&server);
    let (api, closed) = (world.api(), world.api_with(json!({"ipWhitelist": ["192.0.2.1"]})));
    let key = |api: &str, fields: Value| world.key(api, fields).plaintext;
    let plain = key(&api, json!({}));
    let bodies = [
        ("VALID", json!({"key": plain})),
        ("FORBIDDEN", json!({"key": key(&closed, json!({}))})),
        ("DISABLED", json!({"key": key(&api, json!({"enabled": false}))})),
        ("EXPIRED", json!({"key": key(&api, json!({"expires": 1}))})),
        ("INSUFFICIENT_PERMISSIONS", json!({"key": plain, "permissions": "docs.read"})),
        ("RATE_LIMITED", json!({"key": plain, "ratelimits": [{"name": "none", "limit": 0, "duration": 1000}]})),
        ("USAGE_EXCEEDED", json!({"key": limited_key(&world, &api, 1).plaintext, "credits": {"cost": 2}})),
    ];
    for (outcome, mut body) in bodies {
        body["tags"] = json!(["b", "a", "b"]);
        assert_eq!(world.admin.ok("keys.verifyKey", body)["code"], outcome);
    }
    // None of these leaves anything.
    assert_eq!(world.verdict("unknown"), "NOT_FOUND");
    for (status, body) in [
        (400, json!({"key": plain, "permissions": "docs.read AND"})),
        (400, json!({"key": plain, "tags": [""]})),
        (412, json!({"key": plain, "ratelimits": [{"name": "unknown"}]})),
    ] {
        assert_eq!(world.admin.call("keys.verifyKey", body).status, status);
    }
    let sums = counted(&world, OUTCOMES.len());
    let range = around(&server, 1);
    for outcome in OUTCOMES {
        assert_eq!(sums[outcome], json!(1), "{outcome}");
        let only = summed(&world.admin, json!({"outcome": outcome, "tags": ["a"]}), range);
        assert_eq!((&only["total"], &only[outcome]), (&json!(1), &json!(1)), "{outcome}");
    }
    assert_eq!(summed(&world.admin, json!({"tags": ["b", "c"]}), range)["total"], json!(0));
    let stored = world.rows("SELECT DISTINCT tags FROM verification_events WHERE workspace_id = $ws");
    assert_eq!(stored, [json!({"tags": ["b", "a", "b"]})], "as they were sent");
    assert_sums_are_those_of_the_events(&server.database);
}

#[test]
fn filters_narrow_and_combine() {
    let server = server();
    let world = World::on(&server);
    let (first, second) = (world.api(), world.api());
    let mine = world.key(&first, json!({"externalId": "customer_1"}));
    let other = world.key(&first, json!({}));
    let elsewhere = world.key(&second, json!({"externalId": "customer_1"}));
    for (key, tags, times) in [
        (&mine, json!(["path=/a", "eu"]), 3),
        (&mine, json!(["path=/b"]), 2),
        (&other, json!([]), 5),
        (&elsewhere, json!(["eu", "path=/a", "x"]), 7),
    ] {
        for _ in 0..times {
            world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "tags": tags}));
        }
    }
    counted(&world, 17);
    let range = around(&server, 1);
    for (filter, total) in [
        (json!({}), 17),
        (json!({"apiId": first}), 10),
        (json!({"apiId": second}), 7),
        (json!({"keyId": mine.id}), 5),
        (json!({"keyId": mine.id, "apiId": second}), 0),
        (json!({"externalId": "customer_1"}), 12),
        (json!({"externalId": "customer_1", "apiId": first}), 5),
        (json!({"externalId": "Customer_1"}), 0),
        (json!({"tags": ["path=/a"]}), 10),
        (json!({"tags": ["path=/a", "eu"]}), 10),
        (json!({"tags": ["eu", "x"]}), 7),
        (json!({"tags": ["path=/a", "path=/b"]}), 0),
        (json!({"tags": []}), 17),
        (json!({"outcome": "VALID", "keyId": mine.id, "tags": ["path=/b"]}), 2),
        (json!({"outcome": "DISABLED"}), 0),
        (json!({"apiId": "api_never_was"}), 0),
        (json!({"keyId": "key_never_was"}), 0),
    ] {
        for interval in ["hour", "day", "month"] {
            let mut body = filter.clone();
            body["interval"] = json!(interval);
            assert_eq!(summed(&world.admin, body, range)["total"], json!(total), "{interval} {filter}");
        }
    }
}

#[test]
fn only_what_was_taken_from_a_balance_is_spent() {
    let server = server();
    let world = World::on(&server);
    let api = world.api();
    let limited = limited_key(&world, &api, 10);
    let unlimited = world.key(&api, json!({}));
    for (key, cost) in [(&limited, 4), (&limited, 0), (&limited, 5), (&limited, 2), (&unlimited, 100)] {
        world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "credits": {"cost": cost}}));
    }
    let sums = counted(&world, 5);
    assert_eq!((&sums["VALID"], &sums["USAGE_EXCEEDED"], &sums["creditsSpent"]), (&json!(4), &json!(1), &json!(9)));
    let left = world.rows("SELECT remaining FROM credits WHERE workspace_id = $ws");
    assert_eq!(left, [json!({"remaining": 1})], "what is left and what was spent make up what there was");
}

#[test]
fn every_bucket_of_the_range_is_there_once_over_all_pages() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    world.verify(&key.plaintext);
    counted(&world, 1);
    let [from, to] = around(&server, 40);
    for (interval, ranges) in [("hour", [from, to]), ("day", [from + 1, to - 1]), ("month", [from - 900 * DAY_MS, to])]
    {
        let ask = |limit: i64, cursor: Option<&Value>| {
            let mut body = json!({"from": ranges[0], "to": ranges[1], "interval": interval, "limit": limit});
            if let Some(cursor) = cursor {
                body["cursor"] = cursor.clone();
            }
            world.admin.call("analytics.getUsage", body)
        };
        let whole = ask(1000, None);
        let whole = match whole.body["pagination"].get("cursor") {
            Some(cursor) => [whole.data().clone(), ask(1000, Some(cursor)).data().clone()].concat_arrays(),
            None => whole.data().as_array().unwrap().clone(),
        };
        let (mut paged, mut cursor) = (Vec::new(), None);
        loop {
            let page = ask(7, cursor.as_ref());
            let rows = page.data().as_array().unwrap().clone();
            assert!((1..=7).contains(&rows.len()));
            paged.extend(rows);
            cursor = page.body["pagination"].get("cursor").cloned();
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "{interval}");
        let times: Vec<_> = whole.iter().map(|bucket| bucket["time"].as_i64().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{interval}: in order, each once");
        let expected = match interval {
            "hour" => 81 * 24,
            "day" => 81,
            _ => times.len(),
        };
        assert_eq!(times.len(), expected, "{interval}");
        assert!(times[0] <= ranges[0] && *times.last().unwrap() < ranges[1]);
        let total: i64 = whole.iter().map(|bucket| bucket["total"].as_i64().unwrap()).sum();
        assert_eq!(total, 1, "{interval}");
        let beyond = ask(7, Some(&json!("4102444800000")));
        assert_eq!((beyond.data(), &beyond.body["pagination"]["hasMore"]), (&json!([]), &json!(false)));
    }
    let by_default = world.admin.call("analytics.getUsage", json!({"from": from, "to": from + 101 * DAY_MS}));
    assert_eq!(by_default.data().as_array().unwrap().len(), 100);
    assert_eq!(by_default.body["pagination"]["cursor"], json!((from + 100 * DAY_MS).to_string()));
}

trait Concatenated {
    fn concat_arrays(&self) -> Vec<Value>;
}

impl Concatenated for [Value; 2] {
    fn concat_arrays(&self) -> Vec<Value> {
        self.iter().flat_map(|part| part.as_array().unwrap().clone()).collect()
    }
}

#[test]
fn a_range_that_cannot_be_answered_is_refused_with_what_to_do() {
    let world = World::new();
    let now = world.server.clock.now().timestamp_millis();
    let hour = 3_600_000;
    for (body, location, word) in [
        (json!({"from": 5, "to": 5}), "body.to", "greater than `from`"),
        (json!({"from": 6, "to": 5}), "body.to", "greater than `from`"),
        (json!({"from": 0, "to": 10_001 * DAY_MS}), "body.to", "longer `interval`"),
        (json!({"from": now, "to": now + 10_001 * hour, "interval": "hour"}), "body.to", "shorter range"),
        (json!({"from": now - 92 * DAY_MS, "to": now, "interval": "hour"}), "body.from", "`day`"),
    ] {
        let answer = world.admin.call("analytics.getUsage", body);
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [location], "{}", answer.text);
        assert!(answer.body["error"]["errors"][0]["fix"].as_str().unwrap().contains(word), "{}", answer.text);
    }
    for (body, location) in [
        (json!({"to": 5}), "body.from"),
        (json!({"from": 5}), "body.to"),
        (json!({"from": -1, "to": 5}), "body.from"),
        (json!({"from": 0, "to": 4_102_444_800_001_i64}), "body.to"),
        (json!({"from": 0, "to": 5, "interval": "week"}), "body.interval"),
        (json!({"from": 0, "to": 5, "outcome": "NOT_FOUND"}), "body.outcome"),
        (json!({"from": 0, "to": 5, "limit": 1001}), "body.limit"),
        (json!({"from": 0, "to": 5, "limit": 0}), "body.limit"),
        (json!({"from": 0, "to": 5, "cursor": "x"}), "body.cursor"),
        (json!({"from": 0, "to": 5, "tags": ["\u{0}"]}), "body.tags[0]"),
        (json!({"from": 0, "to": 5, "groupBy": "key"}), "body.groupBy"),
    ] {
        let answer = world.admin.call("analytics.getUsage", body);
        assert_eq!((answer.status, answer.locations()), (400, vec![location]), "{}", answer.text);
    }
    world.admin.ok("analytics.getUsage", json!({"from": 0, "to": 10_000 * DAY_MS}));
    world.admin.ok("analytics.getUsage", json!({"from": now, "to": now + 9_999 * hour, "interval": "hour"}));
}

#[test]
fn a_root_key_counts_the_apis_that_it_may_read() {
    let server = server();
    let world = World::on(&server);
    let (first, second, third) = (world.api(), world.api(), world.api());
    for (api, times) in [(&first, 1), (&second, 2), (&third, 4)] {
        let key = world.key(api, json!({}));
        (0..times).for_each(|_| drop(world.verify(&key.plaintext)));
    }
    counted(&world, 7);
    let range = around(&server, 1);
    let may =
        |apis: &[&str]| world.root_key(&apis.iter().map(|id| format!("api.{id}.read_analytics")).collect::<Vec<_>>());
    for (apis, total) in [
        (vec!["*"], 7),
        (vec!["*", &first], 7),
        (vec![first.as_str()], 1),
        (vec![first.as_str(), &third], 5),
        (vec!["api_never_was"], 0),
    ] {
        assert_eq!(summed(&may(&apis), json!({}), range)["total"], json!(total), "{apis:?}");
    }
    let some = may(&[&first, &third]);
    assert_eq!(summed(&some, json!({"apiId": third}), range)["total"], json!(4));
    let body = |api: &str| json!({"from": 0, "to": 1, "apiId": api});
    let refused = some.call("analytics.getUsage", body(&second));
    refused.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(
        refused.body["error"]["required"],
        json!([["api.*.read_analytics"], [format!("api.{second}.read_analytics")]])
    );
    // Without any such right nothing is looked at, the range included.
    for body in [json!({"from": 5, "to": 5}), body(&first)] {
        let none = world.root_key(&["api.*.read_api", "ratelimit.*.read_analytics"]);
        none.call("analytics.getUsage", body).refused(403, "unkey/authorization/insufficient_permissions");
    }
    // Another workspace sees nothing of it, by whatever name.
    let other = World::on(&server);
    for filter in [json!({}), json!({"apiId": first})] {
        assert_eq!(summed(&other.admin, filter, range)["total"], json!(0));
    }
}

#[test]
fn the_numbers_of_what_was_deleted_stay() {
    let server = server();
    let world = World::on(&server);
    let api = world.api();
    let keys = [world.key(&api, json!({"externalId": "gone"})), world.key(&api, json!({})), world.key(&api, json!({}))];
    keys.iter().for_each(|key| assert_eq!(world.verdict(&key.plaintext), "VALID"));
    // What is deleted before its events are written is counted all the same.
    world.admin.ok("keys.deleteKey", json!({"keyId": keys[1].id, "permanent": true}));
    counted(&world, 3);
    world.admin.ok("keys.deleteKey", json!({"keyId": keys[0].id}));
    world.admin.ok("identities.deleteIdentity", json!({"identity": "gone"}));
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    let range = around(&server, 1);
    for (filter, total) in [
        (json!({"apiId": api}), 3),
        (json!({"keyId": keys[0].id}), 1),
        (json!({"keyId": keys[1].id}), 1),
        (json!({"externalId": "gone"}), 1),
    ] {
        assert_eq!(summed(&world.admin, filter.clone(), range)["total"], json!(total), "{filter}");
    }
    assert_eq!(world.verdict(&keys[2].plaintext), "NOT_FOUND");
    assert_eq!(summed(&world.admin, json!({}), range)["total"], json!(3));
}

#[test]
fn a_verification_lies_in_the_bucket_of_its_millisecond() {
    let server = server();
    let world = World::on(&server);
    let subject = Arc::new(Subject {
        workspace: world.workspace.clone(),
        api: ApiId::generate(),
        key: KeyId::generate(),
        owner: None,
    });
    let at = |text: &str| Verification {
        at: text.parse().unwrap(),
        subject: Arc::clone(&subject),
        outcome: Outcome::Valid,
        tags: Vec::new(),
        credits_spent: 1,
        request: RequestId::generate(),
    };
    let moments = [
        "2026-11-30T22:59:59.999Z",
        "2026-11-30T23:00:00.000Z",
        "2026-11-30T23:59:59.999Z",
        "2026-12-01T00:00:00.000Z",
        "2026-12-01T00:00:00.001Z",
        "2026-12-02T00:00:00.000Z",
    ];
    let batch =
        Batch { writer: WriterId::generate(), number: 1, events: moments.iter().map(|text| at(text)).collect() };
    assert!(operate(&server, |tx| Ok(events::insert(tx, &batch)?)));
    let ms = |text: &str| text.parse::<keyward::model::clock::Timestamp>().unwrap().timestamp_millis();
    let counts = |interval: &str, from: &str, to: &str| -> Vec<i64> {
        let body = json!({"from": ms(from), "to": ms(to), "interval": interval});
        let data = world.admin.ok("analytics.getUsage", body);
        data.as_array().unwrap().iter().map(|bucket| bucket["total"].as_i64().unwrap()).collect()
    };
    assert_eq!(counts("hour", "2026-11-30T22:00:00Z", "2026-12-01T01:00:00Z"), [1, 2, 2]);
    assert_eq!(counts("day", "2026-11-30T00:00:00Z", "2026-12-03T00:00:00Z"), [3, 2, 1]);
    assert_eq!(counts("month", "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"), [3, 3]);
    // The end is not in the range, the bucket of the last millisecond before it is, as a whole.
    assert_eq!(counts("day", "2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00.000Z"), [3]);
    assert_eq!(counts("day", "2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00.001Z"), [3, 2]);
    assert_sums_are_those_of_the_events(&server.database);
}

#[test]
fn verifications_around_midnight_are_all_counted_and_none_twice() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let [_, midnight] = around(&server, 0);
    let before = keyward::model::clock::Timestamp::from_timestamp_millis(midnight - 150).unwrap();
    set_clock(&server, before);
    let mut made = 0;
    while server.clock.now().timestamp_millis() < midnight + 50 {
        world.verify(&key.plaintext);
        made += 1;
    }
    counted(&world, made);
    let day = |from: i64| summed(&world.admin, json!({}), [from, from + DAY_MS])["total"].as_u64().unwrap();
    let (yesterday, today) = (day(midnight - DAY_MS), day(midnight));
    assert!(yesterday > 0 && today > 0 && usize::try_from(yesterday + today).unwrap() == made, "{yesterday} {today}");
    assert_sums_are_those_of_the_events(&server.database);
}

#[test]
fn tags_are_bounded_and_may_be_any_text() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    for (tags, location) in [
        (json!(vec!["x"; 21]), "body.tags"),
        (json!(["ok", ""]), "body.tags[1]"),
        (json!(["x".repeat(513)]), "body.tags[0]"),
        (json!(["a\u{0}b"]), "body.tags[0]"),
        (json!([null]), "body.tags[0]"),
        (json!("x"), "body.tags"),
        (json!(null), "body.tags"),
    ] {
        let answer = world.admin.call("keys.verifyKey", json!({"key": key.plaintext, "tags": tags}));
        assert_eq!((answer.status, answer.locations()), (400, vec![location]), "{}", answer.text);
    }
    let longest: Vec<String> = (0..20).map(|index| format!("{index:02}{}", "🦀".repeat(510))).collect();
    let strange = ["\"", "\\", "{a,b}", "NULL", "'", " ", "\n\t", "\u{7f}", "$1", "é", "e\u{301}"];
    world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "tags": longest}));
    world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "tags": strange}));
    world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "tags": []}));
    counted(&world, 3);
    for tag in longest.iter().map(String::as_str).chain(strange) {
        let found = summed(&world.admin, json!({"tags": [tag]}), around(&server, 1));
        assert_eq!(found["total"], json!(1), "{tag:?}");
    }
    assert_sums_are_those_of_the_events(&server.database);
}
