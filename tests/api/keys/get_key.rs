//! `keys.getKey`.

use crate::harness::Client;
use crate::harness::World;
use crate::harness::server::Options;
use serde_json::json;
use std::collections::BTreeSet;

const INVALID: &str = "unkey/application/invalid_input";
const NOT_FOUND: &str = "unkey/data/key_not_found";
const FORBIDDEN: &str = "unkey/authorization/insufficient_permissions";
const PRECONDITION: &str = "unkey/application/precondition_failed";

#[test]
fn a_bare_key_shows_four_fields() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    let key = world.get_key(&made.id);
    let names: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["keyId", "start", "enabled", "createdAt"]));
    assert_eq!(key["keyId"], made.id);
}

#[test]
fn everything_that_is_set_is_shown() {
    let server = Options::default().start();
    let world = World::on(&server);
    let expires = 4_000_000_000_123_i64;
    let meta = json!({"plan": {"seats": [1, 2]}});
    let made = world.key(&world.api(), json!({"name": "n", "prefix": "sk", "meta": meta, "expires": expires}));
    let created = world.get_key(&made.id);
    server.clock.advance(chrono::Duration::hours(1));
    let from = server.clock.now().timestamp_millis();
    world.admin.ok("keys.updateKey", json!({"keyId": made.id, "enabled": false}));
    let key = world.get_key(&made.id);
    let updated = key["updatedAt"].as_i64().unwrap();
    assert!((from..=server.clock.now().timestamp_millis()).contains(&updated));
    let expected = json!({
        "keyId": made.id,
        "start": made.plaintext.split_at(7).0,
        "enabled": false,
        "name": "n",
        "meta": meta,
        "createdAt": created["createdAt"],
        "updatedAt": updated,
        "expires": expires,
    });
    assert_eq!(key, expected);
}

#[test]
fn the_last_use_is_the_last_verification_and_not_a_look() {
    let server = Options::default().start();
    let world = World::on(&server);
    let api = world.api();
    let (used, looked_at) = (world.key(&api, json!({})), world.key(&api, json!({})));
    server.clock.advance(chrono::Duration::days(1));
    let from = server.clock.now().timestamp_millis();
    assert_eq!(world.verdict(&used.plaintext), "VALID");
    world.admin.ok("keys.whoami", json!({"key": looked_at.plaintext}));
    world.get_key(&looked_at.id);
    let to = server.clock.now().timestamp_millis();
    // Stopping in order writes what waits.
    server.stop();
    let second = Options::default().start();
    let there = Client::new(second.url()).bearer(world.admin.root_key());
    let last_used = |id: &str| there.ok("keys.getKey", json!({"keyId": id})).get("lastUsedAt").cloned();
    assert!((from..=to).contains(&last_used(&used.id).unwrap().as_i64().unwrap()));
    assert_eq!(last_used(&looked_at.id), None);
}

#[test]
fn disabled_and_expired_keys_are_shown() {
    let world = World::new();
    let api = world.api();
    for fields in [json!({"enabled": false}), json!({"expires": 1}), json!({"expires": 0})] {
        let made = world.key(&api, fields);
        assert_eq!(world.get_key(&made.id)["keyId"], made.id);
    }
}

#[test]
fn whatever_prevents_it_is_the_same_404() {
    let (world, other) = (World::new(), World::new());
    let (api, gone) = (world.api(), world.api());
    let deleted = world.key(&api, json!({})).id;
    let erased = world.key(&api, json!({})).id;
    let of_deleted_api = world.key(&gone, json!({})).id;
    let hidden = world.key(&api, json!({})).id;
    let foreign = other.key(&other.api(), json!({})).id;
    world.admin.ok("keys.deleteKey", json!({"keyId": deleted}));
    world.admin.ok("keys.deleteKey", json!({"keyId": erased, "permanent": true}));
    world.admin.ok("apis.deleteApi", json!({"apiId": gone}));
    let elsewhere = world.root_key(&["api.api_elsewhere.read_key", "api.api_elsewhere.decrypt_key"]);
    for decrypt in [false, true] {
        let body = |id: &str| json!({"keyId": id, "decrypt": decrypt});
        let unknown = world.admin.call("keys.getKey", body("key_unknown"));
        unknown.refused(404, NOT_FOUND);
        for id in [&deleted, &erased, &of_deleted_api, &foreign, "abc", &"a".repeat(255)] {
            let answer = world.admin.call("keys.getKey", body(id));
            assert_eq!(answer.without_request_id(), unknown.without_request_id());
        }
        let answer = elsewhere.call("keys.getKey", body(&hidden));
        assert_eq!(answer.without_request_id(), unknown.without_request_id());
    }
}

#[test]
fn a_secret_is_no_id() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    world.admin.call("keys.getKey", json!({"keyId": made.plaintext})).refused(404, NOT_FOUND);
    let answer = world.admin.call("keys.getKey", json!({"key": made.plaintext}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations().into_iter().collect::<BTreeSet<_>>(), BTreeSet::from(["body.key", "body.keyId"]));
    assert!(!answer.text.contains(&made.plaintext), "{}", answer.text);
}

#[test]
fn wrong_fields_are_refused_where_they_stand() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    for (field, values) in [
        (
            "keyId",
            vec![
                json!(null),
                json!(1),
                json!(""),
                json!("ab"),
                json!("a".repeat(256)),
                json!("key-1"),
                json!("key_1\n"),
            ],
        ),
        ("decrypt", vec![json!(null), json!("true"), json!(1)]),
        ("keyid", vec![json!(made.id)]),
        ("apiId", vec![json!("api_12345678")]),
    ] {
        for value in values {
            let mut body = json!({"keyId": made.id});
            body[field] = value;
            let answer = world.admin.call("keys.getKey", body.clone());
            answer.refused(400, INVALID);
            let mut places = answer.locations();
            places.dedup();
            assert_eq!(places, [format!("body.{field}")], "{body}");
        }
    }
    let answer = world.admin.call("keys.getKey", json!({}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations(), ["body.keyId"]);
}

#[test]
fn refusals_come_as_400_then_403_then_404_then_412() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    let nobody = world.root_key(&["api.*.create_key"]);
    nobody.call("keys.getKey", json!({"keyId": "no"})).refused(400, INVALID);
    for id in [made.id.as_str(), "key_unknown"] {
        nobody.call("keys.getKey", json!({"keyId": id})).refused(403, FORBIDDEN);
    }
    let reader = world.root_key(&["api.*.read_key"]);
    for id in [made.id.as_str(), "key_unknown"] {
        let answer = reader.call("keys.getKey", json!({"keyId": id, "decrypt": true}));
        answer.refused(403, FORBIDDEN);
        assert!(
            answer.detail().contains("decrypt_key") && !answer.detail().contains("read_key"),
            "{}",
            answer.detail()
        );
    }
    world.admin.call("keys.getKey", json!({"keyId": "key_unknown", "decrypt": true})).refused(404, NOT_FOUND);
    world.admin.call("keys.getKey", json!({"keyId": made.id, "decrypt": true})).refused(412, PRECONDITION);
    reader.ok("keys.getKey", json!({"keyId": made.id, "decrypt": false}));
}

#[test]
fn reading_changes_nothing_and_is_not_audited() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    let before = world.everything();
    world.get_key(&made.id);
    world.admin.call("keys.getKey", json!({"keyId": "key_unknown"}));
    world.admin.call("keys.getKey", json!({"keyId": made.id, "decrypt": true}));
    assert_eq!(before, world.everything());
}
