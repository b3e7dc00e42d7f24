//! `keys.verifyKey` with `migrationId`: the first verification makes an imported prefixed key native.

use crate::harness::World;
use crate::migrations::PREFIXED;
use crate::migrations::import;
use crate::migrations::migration;
use crate::migrations::sha256;
use serde_json::Value;
use serde_json::json;

const KEY: &str = "my_app_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG";
const LONG_TOKEN: &str = "51FwqftsmMDHHbJAMEXXHCgG";

/// A world with one prefixed key that was imported and not verified since.
struct Imported {
    world: World<'static>,
    api: String,
    migration: String,
    key: String,
}

fn imported(mut fields: Value) -> Imported {
    let world = World::new();
    let (api, migration) = (world.api(), migration(&world, PREFIXED));
    fields["hash"] = json!(sha256(LONG_TOKEN));
    let key = import(&world, &migration, &api, json!([fields])).remove(0);
    Imported { world, api, migration, key }
}

impl Imported {
    fn verify(&self, key: &str) -> Value {
        self.world.admin.ok("keys.verifyKey", json!({"key": key, "migrationId": self.migration}))
    }

    fn bindings(&self) -> Vec<Value> {
        self.world.rows("SELECT display FROM audit_log WHERE workspace_id = $ws AND event = 'key.update'")
    }
}

fn not_found() -> Value {
    json!({"valid": false, "code": "NOT_FOUND"})
}

#[test]
fn a_prefixed_key_is_native_from_its_first_verification_on() {
    let scene = imported(json!({"name": "old", "externalId": "owner"}));
    assert_eq!(scene.world.get_key(&scene.key)["start"], "");
    assert_eq!(scene.world.verify(KEY), not_found());
    let first = scene.verify(KEY);
    assert_eq!((&first["code"], &first["keyId"]), (&json!("VALID"), &json!(scene.key)));
    assert_eq!(first["identity"]["externalId"], "owner");
    // The migration is unnecessary from now on, and harmless.
    assert_eq!(scene.world.verify(KEY), first);
    assert_eq!(scene.verify(KEY), first);
    let shown = scene.world.get_key(&scene.key);
    assert_eq!(shown["start"], "my_app_BRTR");
    assert!(shown["updatedAt"].is_i64());
    assert_eq!(scene.world.admin.ok("keys.whoami", json!({"key": KEY}))["keyId"], scene.key);
    let bindings = scene.bindings();
    assert_eq!(bindings.len(), 1);
    assert!(bindings[0]["display"].as_str().unwrap().contains("bound on first verification"), "{bindings:?}");
    assert!(!bindings[0].to_string().contains(LONG_TOKEN));
    let rerolled = scene.world.admin.ok("keys.rerollKey", json!({"keyId": scene.key, "expiration": 0}));
    assert!(rerolled["key"].as_str().unwrap().starts_with("my_app_"), "{rerolled}");
}

#[test]
fn a_part_of_a_key_is_not_the_key() {
    let scene = imported(json!({}));
    let before = scene.world.everything();
    assert_eq!(scene.world.verify(LONG_TOKEN), not_found());
    for text in [LONG_TOKEN, KEY] {
        scene.world.admin.call("keys.whoami", json!({"key": text})).refused(404, "unkey/data/key_not_found");
    }
    assert_eq!(scene.verify("my_app_BRTRKFsL_other"), not_found());
    assert_eq!(before, scene.world.everything());
}

#[test]
fn a_text_of_fewer_than_three_parts_is_malformed() {
    let scene = imported(json!({}));
    let native = scene.world.key(&scene.api, json!({}));
    let before = scene.world.everything();
    for text in ["abc", "abc_def", LONG_TOKEN, "_"] {
        let answer = scene.world.admin.call("keys.verifyKey", json!({"key": text, "migrationId": scene.migration}));
        answer.refused(400, "unkey/authentication/malformed");
        // Only of a migration whose keys look otherwise.
        for other in [migration(&World::new(), PREFIXED), "unknown".to_owned(), String::new()] {
            let body = json!({"key": text, "migrationId": other});
            assert_eq!(scene.world.admin.ok("keys.verifyKey", body), not_found());
        }
    }
    // An ordinary key is found first, whatever it looks like.
    assert_eq!(scene.verify(&native.plaintext)["code"], "VALID");
    assert_eq!(before, scene.world.everything());
    assert_eq!(scene.verify("_BRTRKFsL_")["code"], "NOT_FOUND");
}

#[test]
fn only_its_own_migration_finds_a_key() {
    let scene = imported(json!({}));
    let foreign = World::new();
    let others = [
        migration(&scene.world, PREFIXED),
        migration(&scene.world, "sha256"),
        migration(&foreign, PREFIXED),
        "migration_unknown".to_owned(),
        "x".repeat(256),
    ];
    let before = scene.world.everything();
    for other in others {
        let body = json!({"key": KEY, "migrationId": other});
        assert_eq!(scene.world.admin.ok("keys.verifyKey", body), not_found());
    }
    let body = json!({"key": KEY, "migrationId": scene.migration});
    assert_eq!(foreign.admin.ok("keys.verifyKey", body), not_found());
    let body = json!({"key": KEY, "migrationId": "x".repeat(257)});
    let answer = scene.world.admin.call("keys.verifyKey", body);
    assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.migrationId"]);
    assert_eq!(before, scene.world.everything());
    assert_eq!(scene.verify(KEY)["code"], "VALID");
}

#[test]
fn a_key_is_bound_to_its_first_spelling_and_the_audit_log_tells() {
    let scene = imported(json!({}));
    let forged = format!("forged_x_{LONG_TOKEN}");
    assert_eq!(scene.verify(&forged)["code"], "VALID");
    assert_eq!(scene.verify(KEY), not_found());
    assert!(scene.bindings()[0]["display"].as_str().unwrap().ends_with("it begins with forged_x_51"));
    assert_eq!(scene.bindings().len(), 1);
}

#[test]
fn a_key_that_may_not_be_known_of_is_not_bound() {
    let scene = imported(json!({}));
    let other = scene.world.api();
    let elsewhere = scene.world.root_key(&[format!("api.{other}.verify_key")]);
    let unable = scene.world.root_key(&["api.*.read_key"]);
    let before = scene.world.everything();
    let body = |extra: Value| {
        let mut body = json!({"key": KEY, "migrationId": scene.migration});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    assert_eq!(elsewhere.ok("keys.verifyKey", body(json!({}))), not_found());
    // Not even that its query cannot be read.
    assert_eq!(elsewhere.ok("keys.verifyKey", body(json!({"permissions": "("}))), not_found());
    assert_eq!(scene.world.admin.ok("keys.verifyKey", body(json!({"apiId": other}))), not_found());
    assert_eq!(scene.world.admin.ok("keys.verifyKey", body(json!({"keyspaces": [other]}))), not_found());
    unable.call("keys.verifyKey", body(json!({}))).refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(before, scene.world.everything());
    let covering = scene.world.root_key(&[format!("api.{}.verify_key", scene.api)]);
    assert_eq!(covering.ok("keys.verifyKey", body(json!({"apiId": scene.api})))["code"], "VALID");
    assert_eq!(scene.bindings().len(), 1);
}

#[test]
fn a_deleted_key_and_one_of_a_deleted_api_are_not_found() {
    let scene = imported(json!({}));
    scene.world.admin.ok("keys.deleteKey", json!({"keyId": scene.key}));
    let before = scene.world.everything();
    assert_eq!(scene.verify(KEY), not_found());
    assert_eq!(before, scene.world.everything());

    let scene = imported(json!({}));
    scene.world.admin.ok("apis.deleteApi", json!({"apiId": scene.api}));
    let before = scene.world.everything();
    assert_eq!(scene.verify(KEY), not_found());
    assert_eq!(before, scene.world.everything());
}

#[test]
fn the_ordinary_checks_decide() {
    let one = |fields: Value, query: Value, code: &str| {
        let scene = imported(fields);
        let mut body = json!({"key": KEY, "migrationId": scene.migration, "clientIp": "192.0.2.1"});
        body.as_object_mut().unwrap().extend(query.as_object().unwrap().clone());
        let data = scene.world.admin.ok("keys.verifyKey", body);
        assert_eq!((&data["code"], &data["keyId"]), (&json!(code), &json!(scene.key)));
        assert_eq!(scene.world.verify(KEY)["keyId"], json!(scene.key), "{code} is said of a key that is known");
    };
    one(json!({"enabled": false}), json!({}), "DISABLED");
    one(json!({"expires": 1}), json!({}), "EXPIRED");
    one(json!({"permissions": ["a"]}), json!({"permissions": "a AND b"}), "INSUFFICIENT_PERMISSIONS");
    one(json!({"permissions": ["a"], "roles": ["b"]}), json!({"permissions": "a"}), "VALID");

    let scene = imported(json!({}));
    scene.world.admin.ok("apis.updateApi", json!({"apiId": scene.api, "ipWhitelist": ["192.0.2.2"]}));
    assert_eq!(scene.verify(KEY)["code"], "FORBIDDEN");
}

#[test]
fn an_unreadable_query_is_refused_and_binds_nothing() {
    let scene = imported(json!({}));
    let before = scene.world.everything();
    let body = json!({"key": KEY, "migrationId": scene.migration, "permissions": "a AND"});
    scene.world.admin.call("keys.verifyKey", body).refused(400, "user/bad_request/permissions_query_syntax_error");
    assert_eq!(before, scene.world.everything());
    assert_eq!(scene.verify(KEY)["code"], "VALID");
}

#[test]
fn first_verifications_at_once_are_all_valid_and_bind_once() {
    for _ in 0..5 {
        let scene = imported(json!({}));
        let codes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| scene.verify(KEY)["code"].clone())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(codes, vec![json!("VALID"); 8]);
        assert_eq!(scene.bindings().len(), 1);
    }
}

#[test]
fn of_two_spellings_at_once_one_is_bound() {
    for _ in 0..5 {
        let scene = imported(json!({}));
        let spellings = [KEY.to_owned(), format!("forged_x_{LONG_TOKEN}")];
        let codes: Vec<_> = std::thread::scope(|scope| {
            let verify = |key: &String| scene.verify(key)["code"].as_str().unwrap().to_owned();
            let threads: Vec<_> = spellings.iter().map(|key| scope.spawn(move || verify(key))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut sorted = codes.clone();
        sorted.sort();
        assert_eq!(sorted, ["NOT_FOUND", "VALID"]);
        for (key, code) in spellings.iter().zip(codes) {
            assert_eq!(scene.world.verdict(key), code);
        }
        assert_eq!(scene.bindings().len(), 1);
    }
}

#[test]
fn a_text_that_was_revoked_is_not_revived_by_an_import() {
    let scene = imported(json!({}));
    let native = import(&scene.world, &migration(&scene.world, "sha256"), &scene.api, json!([{"hash": sha256(KEY)}]));
    assert_eq!(scene.verify(KEY)["keyId"], native[0]);
    scene.world.admin.ok("keys.deleteKey", json!({"keyId": native[0]}));
    let before = scene.world.everything();
    assert_eq!(scene.verify(KEY), not_found());
    assert_eq!(before, scene.world.everything());
}

#[test]
fn odd_prefixes_are_shown_shortened_and_not_kept() {
    for (prefix, start) in [("", "_BRTR"), ("a-b", "a-b_BRTR"), (&*"p".repeat(300), &*"p".repeat(50))] {
        let scene = imported(json!({}));
        assert_eq!(scene.verify(&format!("{prefix}_BRTRKFsL_{LONG_TOKEN}"))["code"], "VALID");
        assert_eq!(scene.world.get_key(&scene.key)["start"], start);
        scene.world.admin.ok("keys.rerollKey", json!({"keyId": scene.key, "expiration": 0}));
    }
}
