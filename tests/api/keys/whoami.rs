//! `keys.whoami`.

use crate::harness::World;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";
const NOT_FOUND: &str = "unkey/data/key_not_found";

#[test]
fn a_secret_shows_what_its_id_shows() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    for fields in [
        json!({}),
        json!({"name": "n", "prefix": "sk_live", "meta": {"a": 1}, "expires": 4_102_444_800_000_i64}),
        json!({"enabled": false}),
        json!({"expires": 1}),
        json!({"recoverable": true}),
        json!({"byteLength": 255, "prefix": "x".repeat(16)}),
    ] {
        let made = world.key(&api, fields);
        let answer = world.admin.call("keys.whoami", json!({"key": made.plaintext}));
        assert_eq!(answer.data(), &world.get_key(&made.id));
        assert!(!answer.text.contains(&made.plaintext), "never a plaintext");
    }
}

#[test]
fn an_allow_list_does_not_hide_a_key() {
    let world = World::new();
    let made = world.key(&world.api_with(json!({"ipWhitelist": ["192.0.2.1"]})), json!({}));
    assert_eq!(world.verdict(&made.plaintext), "FORBIDDEN");
    assert_eq!(world.admin.ok("keys.whoami", json!({"key": made.plaintext}))["keyId"], made.id);
}

#[test]
fn whatever_prevents_it_is_the_same_404_without_any_id() {
    let (world, other) = (World::new(), World::new());
    let (api, gone) = (world.api(), world.api());
    let [deleted, erased, hidden] = [(); 3].map(|()| world.key(&api, json!({})));
    let of_deleted_api = world.key(&gone, json!({}));
    let foreign = other.key(&other.api(), json!({}));
    world.admin.ok("keys.deleteKey", json!({"keyId": deleted.id}));
    world.admin.ok("keys.deleteKey", json!({"keyId": erased.id, "permanent": true}));
    world.admin.ok("apis.deleteApi", json!({"apiId": gone}));
    let elsewhere = world.root_key(&["api.api_elsewhere.read_key"]);
    let unknown = world.admin.call("keys.whoami", json!({"key": "sk_unknown"}));
    unknown.refused(404, NOT_FOUND);
    let root_key = world.admin.root_key();
    let padded = format!(" {}", hidden.plaintext);
    let upper = hidden.plaintext.to_uppercase();
    let by_admin = [&deleted.plaintext, &erased.plaintext, &of_deleted_api.plaintext, &foreign.plaintext, &hidden.id];
    let by_admin = by_admin.into_iter().map(String::as_str).chain([root_key, &padded, &upper, "🔑", " "]);
    for key in by_admin {
        let answer = world.admin.call("keys.whoami", json!({"key": key}));
        assert_eq!(answer.without_request_id(), unknown.without_request_id(), "{key}");
    }
    let answer = elsewhere.call("keys.whoami", json!({"key": hidden.plaintext}));
    assert_eq!(answer.without_request_id(), unknown.without_request_id());
    for id in [&api, &gone, &hidden.id, "api_elsewhere"] {
        assert!(!answer.text.contains(id), "{}", answer.text);
    }
}

#[test]
fn without_any_right_to_read_keys_it_is_a_403() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    let nobody = world.root_key(&["api.*.verify_key", "api.*.read_api"]);
    for key in [made.plaintext.as_str(), "sk_unknown"] {
        let answer = nobody.call("keys.whoami", json!({"key": key}));
        answer.refused(403, "unkey/authorization/insufficient_permissions");
        assert_eq!(answer.body["error"]["required"], json!([["api.*.read_key"]]));
        assert!(!answer.text.contains(key), "{}", answer.text);
    }
    nobody.call("keys.whoami", json!({"key": ""})).refused(400, INVALID);
}

#[test]
fn a_secret_has_1_to_512_characters() {
    let world = World::new();
    for key in ["x", &"x".repeat(512), &"🔑".repeat(512)] {
        world.admin.call("keys.whoami", json!({"key": key})).refused(404, NOT_FOUND);
    }
    for key in ["", &"x".repeat(513), &"🔑".repeat(513)] {
        let answer = world.admin.call("keys.whoami", json!({"key": key}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body.key"]);
    }
}

#[test]
fn a_secret_is_all_that_is_taken_and_a_refusal_does_not_repeat_it() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    let secret = &made.plaintext;
    for (body, place) in [
        (json!({"key": null}), "body.key"),
        (json!({"key": 12_345_678}), "body.key"),
        (json!({"key": [secret]}), "body.key"),
        (json!({"key": {"secret": secret}}), "body.key"),
        (json!({"key": secret, "decrypt": true}), "body.decrypt"),
        (json!({"key": secret, "keyId": made.id}), "body.keyId"),
        (json!({"key": secret, "Key": secret}), "body.Key"),
        (json!({}), "body.key"),
        (json!([secret]), "body"),
        (json!(secret), "body"),
    ] {
        let answer = world.admin.call("keys.whoami", body.clone());
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), [place], "{body}");
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
    for body in [
        format!("{{\"key\":\"{secret}\""),
        format!("{{\"key\":{secret}}}"),
        format!("{{\"key\":\"{secret}\",\"key\":\"{secret}\"}}"),
    ] {
        let answer = world.admin.post("/v2/keys.whoami", "application/json", body);
        answer.refused(400, INVALID);
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
}

#[test]
fn looking_changes_nothing_and_is_not_audited() {
    let world = World::new();
    let made = world.key(&world.api(), json!({}));
    let before = world.everything();
    world.admin.ok("keys.whoami", json!({"key": made.plaintext}));
    world.admin.call("keys.whoami", json!({"key": "sk_unknown"}));
    assert_eq!(before, world.everything());
}

#[test]
fn a_change_is_seen_at_once() {
    let world = World::new();
    let made = world.key(&world.api(), json!({"name": "old"}));
    let name = || world.admin.ok("keys.whoami", json!({"key": made.plaintext}))["name"].clone();
    assert_eq!(name(), "old");
    world.admin.ok("keys.updateKey", json!({"keyId": made.id, "name": "new"}));
    assert_eq!(name(), "new");
}
