//! `keys.updateKey`.

use crate::harness::World;
use crate::harness::server::Options;
use chrono::Duration;
use serde_json::Value;
use serde_json::json;

/// A key with everything set.
fn full(world: &World<'_>) -> String {
    let fields = json!({"name": "one", "meta": {"plan": "pro", "seats": 3}, "expires": 4_000_000_000_000_i64});
    world.key(&world.api(), fields).id
}

fn without_updated_at(mut key: Value) -> Value {
    key.as_object_mut().unwrap().shift_remove("updatedAt");
    key
}

#[test]
fn absent_keeps_null_clears_and_a_value_sets() {
    let world = World::new();
    for (field, value) in
        [("name", json!("two")), ("meta", json!({"other": [1, null]})), ("expires", json!(4_000_000_000_001_i64))]
    {
        let key = full(&world);
        let mut expected = world.get_key(&key);

        world.admin.ok("keys.updateKey", json!({"keyId": key, field: value}));
        expected[field] = value;
        assert_eq!(without_updated_at(world.get_key(&key)), expected, "{field} is set, all else stays");

        world.admin.ok("keys.updateKey", json!({"keyId": key, field: null}));
        expected.as_object_mut().unwrap().shift_remove(field);
        assert_eq!(without_updated_at(world.get_key(&key)), expected, "{field} is cleared, all else stays");

        world.admin.ok("keys.updateKey", json!({"keyId": key}));
        assert_eq!(without_updated_at(world.get_key(&key)), expected, "an absent {field} is kept");

        world.admin.ok("keys.updateKey", json!({"keyId": key, field: null}));
        assert_eq!(without_updated_at(world.get_key(&key)), expected, "clearing twice is clearing once");
    }
}

#[test]
fn enabled_is_kept_or_set_and_never_null() {
    let world = World::new();
    let key = full(&world);
    for enabled in [false, true, true] {
        assert_eq!(world.admin.ok("keys.updateKey", json!({"keyId": key, "enabled": enabled})), json!({}));
        assert_eq!(world.get_key(&key)["enabled"], enabled);
    }
    let answer = world.admin.call("keys.updateKey", json!({"keyId": key, "enabled": null}));
    assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.enabled"]);
}

#[test]
fn several_fields_change_together() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"name": "one"}));
    world
        .admin
        .ok("keys.updateKey", json!({"keyId": key.id, "name": null, "meta": {"a": 1}, "expires": 1, "enabled": false}));
    let shown = world.get_key(&key.id);
    assert!(shown.get("name").is_none());
    assert_eq!((&shown["meta"], &shown["expires"], &shown["enabled"]), (&json!({"a": 1}), &json!(1), &json!(false)));
}

#[test]
fn meta_is_replaced_as_a_whole_and_kept_to_the_letter() {
    let world = World::new();
    let key = full(&world);
    let meta = r#"{"z":1,"a":{"big":12345678901234567890123,"small":1e-7,"text":"\u0000 ü"},"list":[]}"#;
    let body = format!(r#"{{"keyId":"{key}","meta":{meta}}}"#);
    assert_eq!(world.admin.post("/v2/keys.updateKey", "application/json", body).status, 200);
    let answer = world.admin.call("keys.getKey", json!({"keyId": key}));
    assert!(answer.text.contains(meta), "{}", answer.text);
    world.admin.ok("keys.updateKey", json!({"keyId": key, "meta": {}}));
    assert!(world.get_key(&key).get("meta").is_none(), "what is empty is left out");
}

#[test]
fn the_key_alone_moves_nothing_but_updated_at() {
    let server = Options::default().start();
    let world = World::on(&server);
    let key = full(&world);
    let before = world.get_key(&key);
    assert!(before.get("updatedAt").is_none());
    let mut last = before["createdAt"].as_i64().unwrap();
    for _ in 0..2 {
        server.clock.advance(Duration::minutes(1));
        assert_eq!(world.admin.ok("keys.updateKey", json!({"keyId": key})), json!({}));
        let after = world.get_key(&key);
        let moved = after["updatedAt"].as_i64().unwrap();
        assert!(moved >= last + 60_000, "{last} {moved}");
        last = moved;
        assert_eq!(without_updated_at(after), before);
    }
}

#[test]
fn values_at_the_bounds_are_taken() {
    let world = World::new();
    let key = full(&world);
    let many: serde_json::Map<_, _> = (0..100).map(|n| (n.to_string(), json!(n))).collect();
    for fields in [
        json!({"name": "x"}),
        json!({"name": "ü".repeat(255)}),
        json!({"meta": many}),
        json!({"expires": 0}),
        json!({"expires": 4_102_444_800_000_i64}),
    ] {
        let mut body = fields.clone();
        body["keyId"] = json!(key);
        world.admin.ok("keys.updateKey", body);
    }
}

#[test]
fn values_past_the_bounds_are_refused_and_change_nothing() {
    let world = World::new();
    let key = full(&world);
    let before = world.everything();
    let many: serde_json::Map<_, _> = (0..101).map(|n| (n.to_string(), json!(n))).collect();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(256))),
        ("name", json!("a\0b")),
        ("name", json!(1)),
        ("meta", json!(many)),
        ("meta", json!([])),
        ("meta", json!("{}")),
        ("meta", json!({"large": "x".repeat(1 << 20)})),
        ("expires", json!(-1)),
        ("expires", json!(4_102_444_800_001_i64)),
        ("expires", json!(1.5)),
        ("expires", json!("1")),
        ("enabled", json!("true")),
        ("enabled", json!(1)),
        ("start", json!("abcd")),
        ("Name", json!("two")),
    ] {
        // A change that would be good on its own goes with it, and must not happen.
        let answer = world.admin.call("keys.updateKey", {
            let mut body = json!({"keyId": key, "enabled": false, "name": "two"});
            body[field] = value.clone();
            body
        });
        answer.refused(400, "unkey/application/invalid_input");
        assert!(answer.locations().iter().all(|place| *place == format!("body.{field}")), "{}", answer.text);
        assert!(!answer.locations().is_empty());
        assert_eq!(world.everything(), before, "{field}");
    }
}

#[test]
fn an_expiry_of_zero_is_the_beginning_of_time() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "expires": 0}));
    assert_eq!(world.verdict(&key.plaintext), "EXPIRED");
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "expires": null}));
    assert_eq!(world.verdict(&key.plaintext), "VALID");
}

#[test]
fn an_expired_or_disabled_key_can_be_changed() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"expires": 1, "enabled": false}));
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "name": "later"}));
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "enabled": true, "expires": null}));
    assert_eq!(world.verdict(&key.plaintext), "VALID");
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
    let unknown = world.admin.call("keys.updateKey", json!({"keyId": "key_that_never_was", "enabled": false}));
    for id in [foreign.id, deleted.id, orphan.id] {
        let answer = world.admin.call("keys.updateKey", json!({"keyId": id, "enabled": false}));
        answer.refused(404, "unkey/data/key_not_found");
        assert_eq!(answer.without_request_id(), unknown.without_request_id());
    }
    assert_eq!(stranger.verdict(&foreign.plaintext), "VALID");
}

#[test]
fn each_change_is_audited_with_its_request() {
    let world = World::new();
    let key = full(&world);
    let answer = world.admin.clone().header("user-agent", "the tests").call("keys.updateKey", json!({"keyId": key}));
    world
        .admin
        .call("keys.updateKey", json!({"keyId": key, "name": ""}))
        .refused(400, "unkey/application/invalid_input");
    assert_eq!(world.audit(), ["api.create", "key.create", "key.update"]);
    let rows = world.rows(
        "SELECT correlation_id, address, user_agent, actor_type, resources FROM audit_log \
         WHERE workspace_id = $ws AND event = 'key.update'",
    );
    assert_eq!(rows[0]["correlation_id"], answer.body["meta"]["requestId"]);
    assert_eq!(rows[0]["address"], "127.0.0.1");
    assert_eq!(rows[0]["user_agent"], "the tests");
    assert_eq!(rows[0]["resources"][0], json!({"type": "key", "id": key, "name": "one"}));
}

#[test]
fn changes_at_the_same_time_all_happen() {
    let world = World::new();
    let key = full(&world);
    std::thread::scope(|scope| {
        for field in ["name", "meta", "expires"] {
            let (world, key) = (&world, &key);
            scope.spawn(move || world.admin.ok("keys.updateKey", json!({"keyId": key, field: null})));
        }
    });
    let shown = world.get_key(&key);
    assert!(["name", "meta", "expires"].iter().all(|field| shown.get(field).is_none()), "{shown}");
}
