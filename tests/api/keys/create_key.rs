//! `keys.createKey`.

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::server::Options;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;

const INVALID: &str = "unkey/application/invalid_input";
const NOT_FOUND: &str = "unkey/data/api_not_found";
const FORBIDDEN: &str = "unkey/authorization/insufficient_permissions";
const PRECONDITION: &str = "unkey/application/precondition_failed";

/// The random part of a secret as bytes.
fn random(secret: &str) -> Vec<u8> {
    bs58::decode(secret.rsplit('_').next().unwrap()).into_vec().unwrap()
}

/// Creates a key whose `meta` is this text.
fn with_meta(world: &World<'_>, api: &str, meta: &str) -> Answer {
    with_meta_as(&world.admin, api, meta)
}

fn with_meta_as(client: &Client, api: &str, meta: &str) -> Answer {
    let body = format!(r#"{{"apiId":"{api}","meta":{meta}}}"#);
    client.post("/v2/keys.createKey", "application/json", body)
}

/// The example that this product began with, as a curl script sends it.
#[test]
fn a_read_only_root_key_learns_what_it_lacks() {
    let world = World::new();
    let readonly = world.root_key(&["api.*.read_key", "api.*.read_api"]);
    let body = json!({"apiId": "api_123", "name": "New API Key"}).to_string();
    let answer = readonly.post("/v1/keys.createKey", "application/json", body);
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["title"], "Forbidden");
    assert!(
        answer.detail().starts_with("The authenticated API key does not have permission to perform this operation")
    );
    assert_eq!(answer.body["error"]["required"], json!([["api.*.create_key"], ["api.api_123.create_key"]]));
    assert_eq!(answer.body["error"]["decision"], answer.body["meta"]["requestId"]);
    assert_eq!(answer.headers["x-accepted-permissions"], "api.*.create_key; api.api_123.create_key");
    assert!(answer.headers["www-authenticate"].contains("insufficient_scope"));

    let creator = world.root_key(&["api.*.create_key"]);
    let data = creator.ok("keys.createKey", json!({"apiId": world.api(), "name": "New API Key"}));
    assert_eq!(world.verdict(data["key"].as_str().unwrap()), "VALID");
}

#[test]
fn an_api_id_is_all_that_is_needed() {
    let world = World::new();
    let data = world.admin.ok("keys.createKey", json!({"apiId": world.api()}));
    let names: BTreeSet<_> = data.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["key", "keyId"]));
    let secret = data["key"].as_str().unwrap();
    assert!(!secret.contains('_') && (21..=22).contains(&secret.len()), "{secret}");
    assert_eq!(random(secret).len(), 16);
    let key = world.get_key(data["keyId"].as_str().unwrap());
    assert_eq!(key["enabled"], true);
    assert_eq!(key["start"], secret.split_at(4).0);
}

#[test]
fn a_secret_is_base58_of_as_many_bytes_as_asked_for() {
    let world = World::new();
    let api = world.api();
    for bytes in [16, 17, 24, 32, 64, 255] {
        let key = world.key(&api, json!({"byteLength": bytes}));
        assert_eq!(random(&key.plaintext).len(), bytes);
        assert_eq!(world.verdict(&key.plaintext), "VALID");
    }
    let longest = world.key(&api, json!({"byteLength": 255, "prefix": "x".repeat(16)})).plaintext;
    assert!(longest.len() <= 512);
    assert_eq!(world.verdict(&longest), "VALID");
}

#[test]
fn a_prefix_stands_whole_before_an_underscore() {
    let world = World::new();
    let api = world.api();
    for prefix in ["a", "sk_live", "_", "__a__", "1234567890abcDEF"] {
        let key = world.key(&api, json!({"prefix": prefix, "byteLength": 32}));
        let rest = key.plaintext.strip_prefix(&format!("{prefix}_")).unwrap();
        assert!((43..=44).contains(&rest.len()), "{rest}");
        assert_eq!(world.get_key(&key.id)["start"], format!("{prefix}_{}", rest.split_at(4).0));
        assert_eq!(world.verdict(&key.plaintext), "VALID");
        assert_eq!(world.verdict(rest), "NOT_FOUND", "the prefix is part of the secret");
    }
}

#[test]
fn the_request_wins_over_the_api_and_the_api_over_no_prefix_and_16_bytes() {
    let world = World::new();
    let api = world.api_with(json!({"defaultPrefix": "team_a", "defaultBytes": 40}));
    for (fields, prefix, bytes) in [
        (json!({}), "team_a_", 40),
        (json!({"prefix": "mine"}), "mine_", 40),
        (json!({"byteLength": 20}), "team_a_", 20),
        (json!({"prefix": "mine", "byteLength": 16}), "mine_", 16),
    ] {
        let secret = world.key(&api, fields).plaintext;
        assert!(secret.starts_with(prefix), "{secret}");
        assert_eq!(random(&secret).len(), bytes);
    }
    world.admin.ok("apis.updateApi", json!({"apiId": api, "defaultPrefix": null, "defaultBytes": null}));
    let secret = world.key(&api, json!({})).plaintext;
    assert!(!secret.contains('_'), "{secret}");
    assert_eq!(random(&secret).len(), 16);
}

#[test]
fn bounds_hold_at_the_limit() {
    let world = World::new();
    let api = world.api();
    for name in ["x", " ", "🔑", &"🔑".repeat(255)] {
        let key = world.key(&api, json!({"name": name}));
        assert_eq!(world.get_key(&key.id)["name"], name);
    }
    for id in ["abc", &"a".repeat(255)] {
        world.admin.call("keys.createKey", json!({"apiId": id})).refused(404, NOT_FOUND);
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_where_it_stands() {
    let world = World::new();
    let api = world.api();
    let before = world.everything();
    for (field, values) in [
        ("apiId", vec![json!(null), json!(1), json!("ab"), json!("a".repeat(256)), json!("api-1"), json!("api_1\n")]),
        (
            "prefix",
            vec![json!(null), json!(1), json!(""), json!("x".repeat(17)), json!("a-b"), json!("sk live"), json!("ä")],
        ),
        ("name", vec![json!(null), json!(1), json!(""), json!("x".repeat(256)), json!("a\0b")]),
        (
            "byteLength",
            vec![
                json!(null),
                json!("16"),
                json!(15),
                json!(256),
                json!(16.5),
                json!(16.0),
                json!(-16),
                json!(u64::MAX),
            ],
        ),
        ("meta", vec![json!(null), json!("{}"), json!([]), json!(1)]),
        (
            "expires",
            vec![
                json!(null),
                json!("0"),
                json!(-1),
                json!(4_102_444_800_001_i64),
                json!(1.5),
                json!(1.0),
                json!(u64::MAX),
            ],
        ),
        ("enabled", vec![json!(null), json!(1), json!("true")]),
        ("recoverable", vec![json!(null), json!(0), json!("false")]),
    ] {
        for value in values {
            let mut body = json!({"apiId": api});
            body[field] = value;
            let answer = world.admin.call("keys.createKey", body.clone());
            answer.refused(400, INVALID);
            let mut places = answer.locations();
            places.dedup();
            assert_eq!(places, [format!("body.{field}")], "{body}");
        }
    }
    assert_eq!(before, world.everything());
}

#[test]
fn unknown_fields_are_refused() {
    let world = World::new();
    let api = world.api();
    for (field, value) in [
        ("apiID", json!(api)),
        ("ownerId", json!("x")),
        ("keyId", json!("key_1")),
        ("rateLimits", json!([{"name": "requests", "limit": 1, "duration": 1000, "autoApply": true}])),
    ] {
        let answer = world.admin.call("keys.createKey", json!({"apiId": api, field: value}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), [format!("body.{field}")]);
    }
    let answer = world.admin.call("keys.createKey", json!({"prefix": "-", "byteLength": 1, "x": 1}));
    let places: BTreeSet<_> = answer.refused(400, INVALID).locations().into_iter().collect();
    assert_eq!(places, BTreeSet::from(["body.apiId", "body.byteLength", "body.prefix", "body.x"]));
    assert_eq!(world.rows("SELECT id FROM keys WHERE workspace_id = $ws"), [Value::Null; 0]);
}

#[test]
fn only_the_sha_256_of_the_whole_secret_is_stored() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"prefix": "sk", "byteLength": 32}));
    let rest = key.plaintext.strip_prefix("sk_").unwrap();
    assert!(!world.everything().to_string().contains(rest.split_at(4).1));
    let sql = format!("SELECT hash = sha256('{}'::bytea) AS same FROM keys WHERE workspace_id = $ws", key.plaintext);
    assert_eq!(world.rows(&sql), [json!({"same": true})]);
    assert_eq!(world.rows("SELECT * FROM sealed_keys WHERE workspace_id = $ws"), [Value::Null; 0]);
}

#[test]
fn meta_comes_back_exactly_as_it_was_sent() {
    let world = World::new();
    let api = world.api();
    for meta in [
        r#"{"big":9007199254740993,"bigger":18446744073709551616,"negative":-9223372036854775809}"#,
        r#"{"z":1,"a":2,"m":{"z":[],"a":{}}}"#,
        r#"{"float":1.0,"exponent":1e5,"zeros":0.1000,"minus":-0}"#,
        r#"{"nul":"a\u0000b","\u0000":1,"escape":"\u00e4\/","text":"ä🔑"}"#,
        r#"{"deep":[[[[{"null":null,"true":true}]]]],"":""}"#,
        r#"{ "blanks" : [ 1 , 2 ] }"#,
        r#"{"twice":1,"twice":2}"#,
        r#"{"meta":{"\u0000":"\u0000"}}"#,
    ] {
        let answer = with_meta(&world, &api, meta);
        assert_eq!(answer.status, 200, "{meta}: {}", answer.text);
        let (id, secret) = (answer.data()["keyId"].clone(), answer.data()["key"].clone());
        for (operation, body) in [
            ("keys.getKey", json!({"keyId": id})),
            ("keys.whoami", json!({"key": secret})),
            ("keys.verifyKey", json!({"key": secret})),
            ("apis.listKeys", json!({"apiId": api, "cursor": id})),
        ] {
            let shown = world.admin.call(operation, body);
            assert!(shown.text.contains(&format!(r#""meta":{meta}"#)), "{operation}: {}", shown.text);
        }
    }
}

#[test]
fn empty_meta_is_left_out() {
    let world = World::new();
    let api = world.api();
    for meta in ["{}", "{ }", "{\n\t}"] {
        let answer = with_meta(&world, &api, meta);
        assert_eq!(world.get_key(answer.data()["keyId"].as_str().unwrap()).get("meta"), None);
        assert_eq!(world.verify(answer.data()["key"].as_str().unwrap()).get("meta"), None);
    }
}

#[test]
fn meta_has_at_most_100_properties_and_1_mebibyte() {
    let world = World::new();
    let api = world.api();
    let properties = |n: usize| {
        let all: Vec<_> = (0..n).map(|i| format!(r#""p{i}":{{"x":[1,2,3]}}"#)).collect();
        format!("{{{}}}", all.join(","))
    };
    let bytes = |n: usize| format!(r#"{{"k":"{}"}}"#, "x".repeat(n - r#"{"k":""}"#.len()));
    let nested = format!(r#"{{"inside":{}}}"#, properties(1000));
    // The bytes are counted after the permission was judged and before anything is looked up.
    let nobody = world.root_key::<&str>(&[]);
    with_meta_as(&nobody, &api, &properties(101)).refused(400, INVALID);
    with_meta_as(&nobody, &api, &bytes((1 << 20) + 1)).refused(403, FORBIDDEN);
    with_meta(&world, "api_unknown", &bytes((1 << 20) + 1)).refused(400, INVALID);
    let before = world.everything();
    for meta in [properties(101), bytes((1 << 20) + 1)] {
        let answer = with_meta(&world, &api, &meta);
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body.meta"]);
    }
    assert_eq!(before, world.everything());
    for meta in [properties(100), nested, bytes(1 << 20)] {
        let answer = with_meta(&world, &api, &meta);
        assert_eq!(answer.status, 200);
        let shown = world.admin.call("keys.getKey", json!({"keyId": answer.data()["keyId"]}));
        assert!(shown.text.contains(&meta));
    }
}

#[test]
fn meta_that_is_no_json_is_refused_and_not_a_fault() {
    let world = World::new();
    let api = world.api();
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for meta in ["{", r#"{"a":01}"#, r#"{"a":"\ud800"}"#, r#"{"a":1e999}"#, r#"{"a":NaN}"#, r#"{'a':1}"#, &deep] {
        with_meta(&world, &api, meta).refused(400, INVALID);
    }
    let body = format!("{{\"apiId\":\"{api}\",\"meta\":{{\"a\":\"").into_bytes();
    let body = [body, b"\xff\xfe\"}}".to_vec()].concat();
    world.admin.post("/v2/keys.createKey", "application/json", body).refused(400, INVALID);
}

#[test]
fn expires_is_kept_to_the_millisecond_and_may_be_in_the_past() {
    let world = World::new();
    let api = world.api();
    for (expires, shown, code) in [
        (0_i64, Value::Null, "EXPIRED"),
        (1, json!(1), "EXPIRED"),
        (1_600_000_000_123, json!(1_600_000_000_123_i64), "EXPIRED"),
        (4_102_444_799_999, json!(4_102_444_799_999_i64), "VALID"),
        (4_102_444_800_000, json!(4_102_444_800_000_i64), "VALID"),
    ] {
        let key = world.key(&api, json!({"expires": expires}));
        assert_eq!(world.get_key(&key.id)["expires"], shown);
        assert_eq!(world.verdict(&key.plaintext), code, "{expires}");
    }
}

#[test]
fn a_key_expires_when_its_time_has_come() {
    let server = Options::default().start();
    let world = World::on(&server);
    let expires = server.clock.now().timestamp_millis() + 3_600_000;
    let key = world.key(&world.api(), json!({"expires": expires})).plaintext;
    server.clock.advance(chrono::Duration::minutes(59));
    assert_eq!(world.verdict(&key), "VALID");
    server.clock.advance(chrono::Duration::minutes(1));
    assert_eq!(world.verdict(&key), "EXPIRED");
}

#[test]
fn a_key_may_be_made_disabled() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({"enabled": false}));
    assert_eq!(world.get_key(&key.id)["enabled"], false);
    assert_eq!(world.verdict(&key.plaintext), "DISABLED");
    assert_eq!(world.verdict(&world.key(&api, json!({"enabled": true})).plaintext), "VALID");
}

#[test]
fn created_at_is_the_servers_time_and_nothing_was_changed_yet() {
    let server = Options::default().start();
    server.clock.advance(chrono::Duration::days(400));
    let world = World::on(&server);
    let before = server.clock.now().timestamp_millis();
    let key = world.key(&world.api(), json!({}));
    let after = server.clock.now().timestamp_millis();
    let key = world.get_key(&key.id);
    assert!((before..=after).contains(&key["createdAt"].as_i64().unwrap()), "{key}");
    assert_eq!((key.get("updatedAt"), key.get("lastUsedAt")), (None, None));
}

#[test]
fn the_audit_log_tells_who_created_what_in_which_request() {
    let world = World::new();
    let api = world.api();
    let (root_key, client) = world.root_key_until(&[format!("api.{api}.create_key")], None);
    let answer = client.call("keys.createKey", json!({"apiId": api, "name": "checkout"}));
    let rows = world.rows(&format!(
        "SELECT event, actor_type, actor_name, correlation_id, resources FROM audit_log \
         WHERE workspace_id = $ws AND actor_id = '{root_key}'"
    ));
    let resources =
        json!([{"type": "key", "id": answer.data()["keyId"], "name": "checkout"}, {"type": "api", "id": api}]);
    let expected = json!({
        "event": "key.create",
        "actor_type": "rootkey",
        "actor_name": "test",
        "correlation_id": answer.body["meta"]["requestId"],
        "resources": resources,
    });
    assert_eq!(rows, [expected]);
    assert!(!world.everything()["audit_log"].to_string().contains(answer.data()["key"].as_str().unwrap()));
}

#[test]
fn refusals_come_as_400_then_403_then_404_then_412_and_leave_nothing() {
    let (world, other) = (World::new(), World::new());
    let (api, theirs) = (world.api(), other.api_with(json!({"recoverable": true})));
    let deleted = world.api_with(json!({"recoverable": true}));
    world.admin.ok("apis.deleteApi", json!({"apiId": deleted}));
    let creator = world.root_key(&["api.*.create_key"]);
    let nobody = world.root_key::<&str>(&[]);
    let before = (world.everything(), other.everything());
    nobody.call("keys.createKey", json!({"apiId": "no"})).refused(400, INVALID);
    for id in [api.as_str(), "api_unknown", &deleted, &theirs] {
        nobody.call("keys.createKey", json!({"apiId": id})).refused(403, FORBIDDEN);
        let answer = creator.call("keys.createKey", json!({"apiId": id, "recoverable": true}));
        answer.refused(403, FORBIDDEN);
        assert!(
            answer.detail().contains("encrypt_key") && !answer.detail().contains("create_key"),
            "{}",
            answer.detail()
        );
    }
    for recoverable in [true, false] {
        let unknown = world.admin.call("keys.createKey", json!({"apiId": "api_unknown", "recoverable": recoverable}));
        unknown.refused(404, NOT_FOUND);
        for id in [&deleted, &theirs] {
            let answer = world.admin.call("keys.createKey", json!({"apiId": id, "recoverable": recoverable}));
            assert_eq!(answer.without_request_id(), unknown.without_request_id());
        }
    }
    world.admin.call("keys.createKey", json!({"apiId": api, "recoverable": true})).refused(412, PRECONDITION);
    assert_eq!(before, (world.everything(), other.everything()));
}

#[test]
fn keys_created_at_once_are_all_different() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let made: Vec<_> = std::thread::scope(|scope| {
        let create = || (0..8).map(|_| world.key(&api, json!({"recoverable": true}))).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let ids: BTreeSet<_> = made.iter().map(|key| &key.id).collect();
    let secrets: BTreeSet<_> = made.iter().map(|key| &key.plaintext).collect();
    assert_eq!((made.len(), ids.len(), secrets.len()), (64, 64, 64));
    let listed = world.admin.ok("apis.listKeys", json!({"apiId": api, "decrypt": true}));
    let shown: BTreeSet<_> = listed.as_array().unwrap().iter().map(|key| key["plaintext"].as_str().unwrap()).collect();
    assert_eq!(shown, secrets.iter().map(|secret| secret.as_str()).collect());
}
