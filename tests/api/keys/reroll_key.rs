//! `keys.rerollKey`.

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::server::Options;
use crate::harness::soon;
use chrono::Duration;
use keyward::model::master_key::MasterKeys;
use serde_json::Value;
use serde_json::json;

const LAST_MOMENT: i64 = 4_102_444_800_000;

fn reroll(world: &World<'_>, id: &str, expiration: Value) -> MadeKey {
    let data = world.admin.ok("keys.rerollKey", json!({"keyId": id, "expiration": expiration}));
    assert_eq!(data.as_object().unwrap().len(), 2, "{data}");
    MadeKey { id: data["keyId"].as_str().unwrap().to_owned(), plaintext: data["key"].as_str().unwrap().to_owned() }
}

fn refused(world: &World<'_>, id: &str) -> Answer {
    let before = world.everything();
    let answer = world.admin.call("keys.rerollKey", json!({"keyId": id, "expiration": 60_000}));
    assert_ne!(answer.status, 200);
    assert_eq!(world.everything(), before);
    answer
}

fn expires(world: &World<'_>, id: &str) -> Option<i64> {
    world.get_key(id).get("expires").map(|expires| expires.as_i64().unwrap())
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one() {
    let world = World::new();
    let api = world.api();
    let fields = json!({"name": "one", "meta": {"plan": "pro"}, "expires": LAST_MOMENT, "enabled": false});
    let old = world.key(&api, fields);
    let before = world.get_key(&old.id);
    let new = reroll(&world, &old.id, json!(60_000));
    assert_ne!(new.id, old.id);
    assert_ne!(new.plaintext, old.plaintext);
    let after = world.get_key(&new.id);
    for field in ["name", "meta", "expires", "enabled"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert!(after.get("updatedAt").is_none() && after.get("lastUsedAt").is_none(), "{after}");
    assert_eq!(world.verify(&new.plaintext)["keyspaceId"], json!(api));
    assert_eq!(world.verdict(&new.plaintext), "DISABLED");
    assert!(new.plaintext.starts_with(after["start"].as_str().unwrap()));
}

#[test]
fn without_grace_the_old_key_ends_at_once_and_soon_on_every_server() {
    let world = World::new();
    let second = Options::default().start();
    let elsewhere = Client::new(second.url()).bearer(world.admin.root_key());
    let old = world.key(&world.api(), json!({}));
    assert_eq!(elsewhere.ok("keys.verifyKey", json!({"key": old.plaintext}))["code"], "VALID");
    let new = reroll(&world, &old.id, json!(0));
    assert_eq!(world.verdict(&old.plaintext), "EXPIRED");
    soon(json!("EXPIRED"), || elsewhere.ok("keys.verifyKey", json!({"key": old.plaintext}))["code"].clone());
    for client in [&elsewhere, &world.admin] {
        assert_eq!(client.ok("keys.verifyKey", json!({"key": new.plaintext}))["code"], "VALID");
    }
}

#[test]
fn the_grace_ends_to_the_millisecond() {
    let server = Options::default().start();
    let world = World::on(&server);
    for grace in [1_i64, 1_500, 59_999, 86_400_001] {
        let old = world.key(&world.api(), json!({}));
        let new = reroll(&world, &old.id, json!(grace));
        let rerolled_at = world.get_key(&new.id)["createdAt"].as_i64().unwrap();
        assert_eq!(expires(&world, &old.id), Some(rerolled_at + grace));
        assert_eq!(expires(&world, &new.id), None, "the new key does not end with the grace");
    }
    let old = world.key(&world.api(), json!({}));
    reroll(&world, &old.id, json!(3_600_000));
    server.clock.advance(Duration::minutes(59));
    assert_eq!(world.verdict(&old.plaintext), "VALID");
    server.clock.advance(Duration::minutes(1));
    assert_eq!(world.verdict(&old.plaintext), "EXPIRED");
}

#[test]
fn a_grace_never_prolongs_a_life() {
    let world = World::new();
    let end = world.server.clock.now().timestamp_millis() + 60_000;
    let old = world.key(&world.api(), json!({"expires": end}));
    let new = reroll(&world, &old.id, json!(3_600_000));
    assert_eq!(expires(&world, &old.id), Some(end));
    assert_eq!(expires(&world, &new.id), Some(end), "the new key ends when the old one would have");
    let newest = reroll(&world, &old.id, json!(1_000));
    assert!(expires(&world, &old.id).unwrap() < end);
    let shortened = expires(&world, &old.id);
    reroll(&world, &old.id, json!(LAST_MOMENT));
    assert_eq!(expires(&world, &old.id), shortened);
    assert_eq!(world.verdict(&newest.plaintext), "VALID");
}

#[test]
fn null_keeps_the_old_keys_own_end() {
    let world = World::new();
    let api = world.api();
    let forever = world.key(&api, json!({}));
    reroll(&world, &forever.id, Value::Null);
    assert_eq!(expires(&world, &forever.id), None);
    assert_eq!(world.verdict(&forever.plaintext), "VALID");
    let ends = world.key(&api, json!({"expires": LAST_MOMENT}));
    reroll(&world, &ends.id, Value::Null);
    assert_eq!(expires(&world, &ends.id), Some(LAST_MOMENT));
}

/// 130 years from now is beyond what other operations take, and must be shown all the same.
#[test]
fn the_longest_grace_is_stored_and_shown() {
    let world = World::new();
    let old = world.key(&world.api(), json!({}));
    reroll(&world, &old.id, json!(LAST_MOMENT));
    assert!(expires(&world, &old.id).unwrap() > LAST_MOMENT);
    assert_eq!(world.verdict(&old.plaintext), "VALID");
}

#[test]
fn an_expired_key_cannot_be_rerolled() {
    let server = Options::default().start();
    let world = World::on(&server);
    let api = world.api();
    let expired = world.key(&api, json!({"expires": 1}));
    refused(&world, &expired.id).refused(412, "unkey/application/precondition_failed");
    let rerolled = world.key(&api, json!({}));
    reroll(&world, &rerolled.id, json!(0));
    refused(&world, &rerolled.id).refused(412, "unkey/application/precondition_failed");
    let later = world.key(&api, json!({}));
    reroll(&world, &later.id, json!(60_000));
    server.clock.advance(Duration::minutes(1));
    refused(&world, &later.id).refused(412, "unkey/application/precondition_failed");
}

#[test]
fn the_whole_prefix_and_the_byte_length_are_kept() {
    let world = World::new();
    let api = world.api_with(json!({"defaultPrefix": "other", "defaultBytes": 32}));
    for (prefix, bytes) in [("my_app_v2", 48), ("_", 16), ("a__b_", 255), ("x", 17)] {
        let old = world.key(&api, json!({"prefix": prefix, "byteLength": bytes}));
        let mut key = old;
        // A reroll of a reroll is still like the first.
        for _ in 0..2 {
            key = reroll(&world, &key.id, json!(0));
            let random = key.plaintext.strip_prefix(&format!("{prefix}_")).unwrap();
            assert_eq!(bs58::decode(random).into_vec().unwrap().len(), bytes, "{prefix}");
            let start = world.get_key(&key.id)["start"].as_str().unwrap().to_owned();
            assert_eq!(start.len(), prefix.len() + 5);
            assert!(key.plaintext.starts_with(&start));
        }
    }
}

#[test]
fn a_key_without_prefix_gets_none_even_if_its_api_has_one_by_now() {
    let world = World::new();
    let api = world.api();
    let old = world.key(&api, json!({}));
    world.admin.ok("apis.updateApi", json!({"apiId": api, "defaultPrefix": "later", "defaultBytes": 64}));
    let new = reroll(&world, &old.id, json!(0));
    assert!(!new.plaintext.contains('_'), "{}", new.plaintext.len());
    assert_eq!(bs58::decode(&new.plaintext).into_vec().unwrap().len(), 16);
}

#[test]
fn a_recoverable_key_stays_recoverable_and_others_do_not_become_so() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let shown = |id: &str| world.admin.ok("keys.getKey", json!({"keyId": id, "decrypt": true}));
    let old = world.key(&api, json!({"recoverable": true}));
    let new = reroll(&world, &old.id, json!(60_000));
    assert_eq!(shown(&new.id)["plaintext"], json!(new.plaintext));
    assert_eq!(shown(&old.id)["plaintext"], json!(old.plaintext), "during the grace the old one is shown as before");
    let plain = reroll(&world, &world.key(&api, json!({})).id, json!(0));
    assert!(shown(&plain.id).get("plaintext").is_none());
}

#[test]
fn a_recoverable_key_is_not_silently_made_unrecoverable() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let without_encrypt = world.root_key(&["api.*.create_key", "api.*.read_key"]);
    let answer = without_encrypt.call("keys.rerollKey", json!({"keyId": key.id, "expiration": 0}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    world.admin.ok("apis.updateApi", json!({"apiId": api, "recoverable": false}));
    refused(&world, &key.id).refused(412, "unkey/application/precondition_failed");

    let keyless = Options::default().master_keys(MasterKeys::default()).start();
    world.admin.ok("apis.updateApi", json!({"apiId": api, "recoverable": true}));
    let elsewhere = Client::new(keyless.url()).bearer(world.admin.root_key());
    let answer = elsewhere.call("keys.rerollKey", json!({"keyId": key.id, "expiration": 0}));
    answer.refused(412, "unkey/application/precondition_failed");
    assert_eq!(world.verdict(&key.plaintext), "VALID");
}

#[test]
fn further_fields_are_tolerated() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    world
        .admin
        .ok("keys.rerollKey", json!({"keyId": key.id, "expiration": 0, "prefix": "new", "any": {"thing": null}}));
}

#[test]
fn malformed_requests_are_refused() {
    let world = World::new();
    for (body, location) in [
        (json!({"keyId": "key_1"}), "body.expiration"),
        (json!({"expiration": 0}), "body.keyId"),
        (json!({"keyId": "k-1", "expiration": 0}), "body.keyId"),
        (json!({"keyId": null, "expiration": 0}), "body.keyId"),
        (json!({"keyId": "key_1", "expiration": -1}), "body.expiration"),
        (json!({"keyId": "key_1", "expiration": LAST_MOMENT + 1}), "body.expiration"),
        (json!({"keyId": "key_1", "expiration": 1.5}), "body.expiration"),
        (json!({"keyId": "key_1", "expiration": "0"}), "body.expiration"),
    ] {
        let answer = world.admin.call("keys.rerollKey", body);
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [location]);
    }
}

#[test]
fn unknown_deleted_and_foreign_keys_are_the_same_404() {
    let world = World::new();
    let stranger = World::new();
    let foreign = stranger.key(&stranger.api(), json!({}));
    let (api, gone) = (world.api(), world.api());
    let (deleted, orphan) = (world.key(&api, json!({})), world.key(&gone, json!({})));
    world.admin.ok("keys.deleteKey", json!({"keyId": deleted.id}));
    world.admin.ok("apis.deleteApi", json!({"apiId": gone}));
    let unknown = refused(&world, "key_that_never_was");
    for id in [foreign.id, deleted.id, orphan.id] {
        let answer = refused(&world, &id);
        answer.refused(404, "unkey/data/key_not_found");
        assert_eq!(answer.without_request_id(), unknown.without_request_id());
    }
}

#[test]
fn a_reroll_is_audited_with_both_keys() {
    let world = World::new();
    let api = world.api();
    let old = world.key(&api, json!({"name": "one"}));
    let new = reroll(&world, &old.id, json!(0));
    let rows = world.rows("SELECT resources FROM audit_log WHERE workspace_id = $ws AND event = 'key.reroll'");
    let ids: Vec<_> = rows[0]["resources"].as_array().unwrap().iter().map(|resource| resource["id"].clone()).collect();
    assert_eq!(ids, [json!(new.id), json!(old.id), json!(api)]);
    assert_eq!(rows.len(), 1);
    assert!(world.get_key(&old.id).get("updatedAt").is_some());
}

#[test]
fn rerolls_of_one_key_at_the_same_time_end_cleanly() {
    let world = World::new();
    let api = world.api();
    for expiration in [json!(0), json!(60_000), Value::Null] {
        let key = world.key(&api, json!({}));
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..6)
                .map(|_| {
                    let body = json!({"keyId": key.id, "expiration": expiration});
                    scope.spawn(|| world.admin.call("keys.rerollKey", body))
                })
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(!made.is_empty());
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.refused(412, "unkey/application/precondition_failed");
            assert_eq!(expiration, json!(0), "only a key that has ended refuses");
        }
        for answer in &made {
            assert_eq!(world.verdict(answer.data()["key"].as_str().unwrap()), "VALID");
        }
        let expected = if expiration == json!(0) { "EXPIRED" } else { "VALID" };
        assert_eq!(world.verdict(&key.plaintext), expected);
    }
}
