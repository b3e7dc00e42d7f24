//! `keys.migrateKeys`.

use crate::harness::Answer;
use crate::harness::World;
use crate::migrations::PREFIXED;
use crate::migrations::import;
use crate::migrations::migration;
use crate::migrations::sha256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward::model::secret::Hash;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Instant;

/// A world with an API and a migration of plain SHA-256 hashes.
struct Scene {
    world: World<'static>,
    api: String,
    migration: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let (api, migration) = (world.api(), migration(&world, "sha256"));
        Self { world, api, migration }
    }

    fn body(&self, keys: Value) -> Value {
        json!({"migrationId": self.migration, "apiId": self.api, "keys": keys})
    }

    fn call(&self, keys: Value) -> Answer {
        self.world.admin.call("keys.migrateKeys", self.body(keys))
    }

    fn import(&self, keys: Value) -> Vec<String> {
        import(&self.world, &self.migration, &self.api, keys)
    }

    /// Imports one key with these fields; shows it.
    fn one(&self, secret: &str, mut fields: Value) -> Value {
        fields["hash"] = json!(sha256(secret));
        self.world.get_key(&self.import(json!([fields]))[0])
    }
}

fn numbered(count: usize) -> Value {
    (0..count).map(|number| json!({"hash": sha256(&format!("secret {number}"))})).collect()
}

#[test]
fn imported_keys_verify_with_their_old_secrets_however_the_hash_was_written() {
    let scene = Scene::new();
    let bytes = |secret: &str| Hash::of(secret).as_bytes().to_vec();
    let hashes = [
        sha256("a"),
        sha256("b").to_uppercase(),
        STANDARD.encode(bytes("c")),
        STANDARD.encode(bytes("d")).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(bytes("e")),
        URL_SAFE_NO_PAD.encode(bytes("f")) + "=",
    ];
    let keys: Vec<_> = hashes.iter().map(|hash| json!({"hash": hash})).collect();
    let data = scene.call(json!(keys)).data().clone();
    assert_eq!(data["failed"], json!([]));
    for (index, secret) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let migrated = &data["migrated"][index];
        assert_eq!(migrated["hash"], hashes[index], "as it was sent");
        let verified = scene.world.verify(secret);
        assert_eq!((&verified["code"], &verified["keyId"]), (&json!("VALID"), &migrated["keyId"]));
    }
    let shown = scene.world.get_key(data["migrated"][0]["keyId"].as_str().unwrap());
    assert_eq!((&shown["start"], &shown["enabled"]), (&json!(""), &json!(true)));
    assert!(["name", "meta", "expires", "identity", "roles"].iter().all(|field| shown[field].is_null()), "{shown}");
}

#[test]
fn everything_that_is_said_of_a_key_is_stored() {
    let scene = Scene::new();
    let native = scene.world.key(&scene.api, json!({"externalId": "customer_1", "permissions": ["docs.read"]}));
    let owner = scene.world.get_key(&native.id)["identity"]["id"].clone();
    let fields = json!({
        "name": "an old key",
        "externalId": "customer_1",
        "meta": {"big": 9_007_199_254_740_993_i64, "nested": {"a": [1, null]}},
        "roles": ["old role", "another", "old role"],
        "permissions": ["docs.write", "docs.read", "docs.write"],
        "expires": 4_102_444_800_000_i64,
        "enabled": false,
    });
    let shown = scene.one("secret", fields.clone());
    for field in ["name", "meta", "expires", "enabled"] {
        assert_eq!(shown[field], fields[field], "{field}");
    }
    assert_eq!(shown["roles"], json!(["another", "old role"]));
    assert_eq!(shown["permissions"], json!(["docs.read", "docs.write"]));
    assert_eq!(shown["identity"]["id"], owner);
    assert_eq!(scene.world.verdict("secret"), "DISABLED");
}

#[test]
fn what_is_missing_is_made_once_and_audited() {
    let scene = Scene::new();
    let key = |secret: &str| json!({"hash": sha256(secret), "externalId": "owner", "roles": ["role"], "permissions": ["slug"]});
    let made = scene.world.audit().len();
    let ids = scene.import(json!([key("a"), key("b")]));
    let (first, second) = (scene.world.get_key(&ids[0]), scene.world.get_key(&ids[1]));
    assert_eq!(first["identity"]["id"], second["identity"]["id"]);
    let mut audit = scene.world.audit()[made..].to_vec();
    audit.sort();
    let connected = |what: &str| format!("authorization.connect_{what}_and_key");
    assert_eq!(
        audit,
        [
            connected("permission"),
            connected("permission"),
            connected("role"),
            connected("role"),
            "identity.create".to_owned(),
            "key.create".to_owned(),
            "key.create".to_owned(),
            "permission.create".to_owned(),
            "role.create".to_owned()
        ]
    );
    let rows = scene.world.rows(
        "SELECT correlation_id, resources FROM audit_log WHERE workspace_id = $ws AND event = 'key.create' ORDER BY id",
    );
    assert_eq!(rows[0]["correlation_id"], rows[1]["correlation_id"]);
    assert_eq!(rows[0]["resources"], json!([{"type": "key", "id": ids[0]}, {"type": "api", "id": scene.api}]));
    // A role that an import made has no permissions.
    assert_eq!(scene.world.rows("SELECT * FROM role_permissions WHERE workspace_id = $ws"), Vec::<Value>::new());
}

#[test]
fn a_hash_that_is_stored_or_comes_twice_fails_and_the_others_are_imported() {
    let scene = Scene::new();
    let live = scene.world.key(&scene.api, json!({}));
    let deleted = scene.world.key(&scene.api, json!({}));
    scene.world.admin.ok("keys.deleteKey", json!({"keyId": deleted.id}));
    let gone = scene.world.key(&scene.api, json!({}));
    scene.world.admin.ok("keys.deleteKey", json!({"keyId": gone.id, "permanent": true}));
    let (twice, again) = (sha256("twice"), STANDARD.encode(Hash::of("twice").as_bytes()));
    let hashes = [
        sha256(&deleted.plaintext),
        twice.clone(),
        sha256(&live.plaintext),
        sha256("new"),
        again.clone(),
        sha256(&gone.plaintext),
    ];
    let keys: Vec<_> = hashes.iter().map(|hash| json!({"hash": hash})).collect();
    let data = scene.call(json!(keys)).data().clone();
    assert_eq!(data["failed"], json!([hashes[0], hashes[2], again]));
    let migrated: Vec<_> = data["migrated"].as_array().unwrap().iter().map(|key| key["hash"].clone()).collect();
    assert_eq!(migrated, [twice, hashes[3].clone(), hashes[5].clone()]);
    assert_eq!(scene.world.verdict(&deleted.plaintext), "NOT_FOUND");
    assert_eq!(scene.world.verify(&live.plaintext)["keyId"], live.id);
    assert_eq!(scene.world.verdict(&gone.plaintext), "VALID");
}

#[test]
fn the_same_request_again_fails_all_and_changes_nothing() {
    let scene = Scene::new();
    let keys = json!([
        {"hash": sha256("a"), "externalId": "owner", "roles": ["role"], "permissions": ["slug"], "name": "a"},
        {"hash": sha256("b")},
    ]);
    scene.import(keys.clone());
    let before = scene.world.everything();
    let data = scene.call(keys).data().clone();
    assert_eq!(data, json!({"migrated": [], "failed": [sha256("a"), sha256("b")]}));
    // What a failed key would have needed is not made either.
    let other = json!([{"hash": sha256("a"), "externalId": "other", "roles": ["other"], "permissions": ["other"]}]);
    assert_eq!(scene.call(other).data()["failed"], json!([sha256("a")]));
    assert_eq!(before, scene.world.everything());
}

#[test]
fn hashes_of_other_workspaces_do_not_matter() {
    let (mine, theirs) = (Scene::new(), Scene::new());
    let theirs_id = theirs.import(json!([{"hash": sha256("shared")}]));
    let mine_id = mine.import(json!([{"hash": sha256("shared")}]));
    assert_eq!(mine.world.verify("shared")["keyId"], mine_id[0]);
    assert_eq!(theirs.world.verify("shared")["keyId"], theirs_id[0]);
}

#[test]
fn what_is_no_hash_is_located_and_nothing_is_imported() {
    let scene = Scene::new();
    let before = scene.world.everything();
    let hex = sha256("a");
    let base64 = STANDARD.encode(Hash::of("a").as_bytes());
    let bad = [
        String::new(),
        "abc".to_owned(),
        hex.chars().skip(1).collect(),
        format!("{hex}0"),
        hex.chars().skip(1).chain(['g']).collect(),
        base64.chars().take(42).chain(['B']).collect(),
        format!("+{}A", "_".repeat(41)),
        format!("{base64}="),
        format!("{hex}\n"),
        STANDARD.encode([0; 31]),
        STANDARD.encode([0; 33]),
        STANDARD.encode([0; 64]),
        "$2b$12$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ];
    for hash in bad {
        let mut keys = numbered(5);
        keys[3]["hash"] = json!(hash);
        let answer = scene.call(keys);
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.keys[3].hash"], "{hash}");
    }
    let answer = scene.call(json!([{"name": "a"}, {"hash": null}]));
    assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations().len(), 2);
    assert_eq!(before, scene.world.everything());
}

#[test]
fn every_bound_holds_at_the_limit_and_one_past_it() {
    let scene = Scene::new();
    let slugs = |count: usize| (0..count).map(|number| format!("slug.{number}")).collect::<Vec<_>>();
    let entries =
        |count: usize| (0..count).map(|number| (number.to_string(), json!(1))).collect::<serde_json::Map<_, _>>();
    let good = [
        json!({"name": "n", "externalId": "a", "permissions": [], "roles": [], "meta": {}, "expires": 0}),
        json!({"name": "ü".repeat(255), "externalId": "a".repeat(255), "expires": 4_102_444_800_000_i64}),
        json!({"permissions": slugs(1000), "roles": slugs(100), "meta": entries(100)}),
        json!({"permissions": ["x".repeat(128), "a_b-c:d.*"], "roles": ["ü".repeat(128), "with blanks"]}),
        json!({"externalId": "a_b.c-d"}),
    ];
    for (index, fields) in good.into_iter().enumerate() {
        scene.one(&index.to_string(), fields);
    }
    let before = scene.world.everything();
    let bad = [
        ("name", json!("")),
        ("name", json!("ü".repeat(256))),
        ("name", json!(null)),
        ("externalId", json!("")),
        ("externalId", json!("a".repeat(256))),
        ("externalId", json!("a@b")),
        ("permissions", json!(slugs(1001))),
        ("permissions[0]", json!(["x".repeat(129)])),
        ("permissions[0]", json!(["with blanks"])),
        ("roles", json!(slugs(101))),
        ("roles[0]", json!([""])),
        ("roles[0]", json!(["ü".repeat(129)])),
        ("meta", json!(entries(101))),
        ("meta", json!([])),
        ("expires", json!(-1)),
        ("expires", json!(4_102_444_800_001_i64)),
        ("enabled", json!("true")),
        ("keyId", json!("key_1")),
    ];
    for (place, value) in bad {
        let field = place.split('[').next().unwrap();
        let answer = scene.call(json!([{"hash": sha256("good")}, {"hash": sha256("bad"), field: value}]));
        // Of an empty text the pattern is violated as well.
        let mut locations = answer.refused(400, "unkey/application/invalid_input").locations();
        locations.dedup();
        assert_eq!(locations, [format!("body.keys[1].{place}")]);
    }
    for (field, value) in [
        ("migrationId", json!("ab")),
        ("migrationId", json!("a".repeat(256))),
        ("apiId", json!("ab")),
        ("apiId", json!("a".repeat(256))),
        ("keys", json!([])),
        ("keys", numbered(5001)),
    ] {
        let mut body = scene.body(numbered(1));
        body[field] = value;
        let answer = scene.world.admin.call("keys.migrateKeys", body);
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), [format!("body.{field}")]);
    }
    for (field, value, code) in [
        ("migrationId", "abc".to_owned(), "unkey/data/migration_not_found"),
        ("migrationId", "a".repeat(255), "unkey/data/migration_not_found"),
        ("apiId", "abc".to_owned(), "unkey/data/api_not_found"),
        ("apiId", "a".repeat(255), "unkey/data/api_not_found"),
    ] {
        let mut body = scene.body(numbered(1));
        body[field] = json!(value);
        scene.world.admin.call("keys.migrateKeys", body).refused(404, code);
    }
    assert_eq!(before, scene.world.everything());
}

#[test]
fn metadata_of_a_mebibyte_is_the_most() {
    let scene = Scene::new();
    let of = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())});
    scene.import(json!([{"hash": sha256("a"), "meta": of(1 << 20)}]));
    let before = scene.world.everything();
    let answer = scene.call(json!([{"hash": sha256("b")}, {"hash": sha256("c"), "meta": of((1 << 20) + 1)}]));
    assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.keys[1].meta"]);
    assert_eq!(before, scene.world.everything());
}

#[test]
fn refusals_come_in_order() {
    let scene = Scene::new();
    scene.world.execute("UPDATE workspaces SET keys_max = 1 WHERE id = $ws");
    let large = json!({"a": "x".repeat(1 << 20)});
    let mut body = json!({
        "migrationId": "migration_unknown",
        "apiId": "api_unknown",
        "keys": [{"hash": "no hash"}, {"hash": sha256("a"), "meta": large}],
    });
    let before = scene.world.everything();
    let unable = scene.world.root_key(&["api.*.read_key"]);
    let before_root_key = before["root_keys"].as_array().unwrap().len();
    unable.call("keys.migrateKeys", body.clone()).refused(400, "unkey/application/invalid_input");
    body["keys"][0]["hash"] = json!(sha256("b"));
    unable.call("keys.migrateKeys", body.clone()).refused(403, "unkey/authorization/insufficient_permissions");
    let admin = &scene.world.admin;
    admin.call("keys.migrateKeys", body.clone()).refused(404, "unkey/data/api_not_found");
    body["apiId"] = json!(scene.api);
    admin.call("keys.migrateKeys", body.clone()).refused(404, "unkey/data/migration_not_found");
    body["migrationId"] = json!(scene.migration);
    admin.call("keys.migrateKeys", body.clone()).refused(400, "unkey/application/invalid_input");
    body["keys"][1]["meta"] = json!({});
    admin.call("keys.migrateKeys", body).refused(403, "unkey/limits/keys_limit_exceeded");
    let after = scene.world.everything();
    assert_eq!(after["root_keys"].as_array().unwrap().len(), before_root_key + 1);
    for table in ["keys", "identities", "permissions", "roles"] {
        assert_eq!(before[table], after[table], "{table}");
    }
}

#[test]
fn a_migration_of_another_workspace_and_a_deleted_api_are_not_found() {
    let (scene, theirs) = (Scene::new(), Scene::new());
    let mut body = scene.body(numbered(1));
    body["migrationId"] = json!(theirs.migration);
    let foreign = scene.world.admin.call("keys.migrateKeys", body.clone());
    body["migrationId"] = json!("migration_unknown");
    let unknown = scene.world.admin.call("keys.migrateKeys", body);
    assert_eq!(
        foreign.refused(404, "unkey/data/migration_not_found").without_request_id(),
        unknown.without_request_id()
    );
    scene.world.admin.ok("apis.deleteApi", json!({"apiId": scene.api}));
    scene.call(numbered(1)).refused(404, "unkey/data/api_not_found");
}

#[test]
fn the_key_limit_counts_the_whole_batch() {
    let scene = Scene::new();
    scene.world.execute("UPDATE workspaces SET keys_max = 3 WHERE id = $ws");
    let before = scene.world.everything();
    let answer = scene.call(numbered(4));
    answer.refused(403, "unkey/limits/keys_limit_exceeded");
    assert!(answer.detail().contains("3 keys") && answer.detail().contains("4 more"), "{}", answer.detail());
    assert_eq!(before, scene.world.everything());
    scene.import(numbered(3));
    // Keys that the workspace has do not count again, and nothing fails for want of room when there is nothing to add.
    assert_eq!(scene.call(numbered(3)).data()["failed"].as_array().unwrap().len(), 3);
    scene.call(numbered(4)).refused(403, "unkey/limits/keys_limit_exceeded");
}

#[test]
fn the_key_limit_holds_for_imports_at_once() {
    let scene = Scene::new();
    scene.world.execute("UPDATE workspaces SET keys_max = 300 WHERE id = $ws");
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4_usize)
            .map(|turn| {
                let keys: Value = (0..200).map(|key| json!({"hash": sha256(&format!("{turn} {key}"))})).collect();
                let scene = &scene;
                scope.spawn(move || scene.call(keys).status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 3, "{statuses:?}");
    assert_eq!(scene.world.rows("SELECT id FROM keys WHERE workspace_id = $ws").len(), 200);
}

#[test]
fn a_deleted_identity_is_not_revived() {
    let scene = Scene::new();
    let first = scene.one("a", json!({"externalId": "owner"}))["identity"]["id"].clone();
    scene.world.execute("UPDATE identities SET deleted_at = now() WHERE workspace_id = $ws");
    let second = scene.one("b", json!({"externalId": "owner"}))["identity"]["id"].clone();
    assert!(second.is_string() && first != second);
}

#[test]
fn imported_keys_are_keys_like_any_other() {
    let scene = Scene::new();
    let prefixed = migration(&scene.world, PREFIXED);
    let mut ids = scene.import(json!([{"hash": sha256("a")}]));
    ids.extend(import(&scene.world, &prefixed, &scene.api, json!([{"hash": sha256("b")}])));
    let listed = scene.world.admin.ok("apis.listKeys", json!({"apiId": scene.api}));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    for id in ids {
        scene.world.admin.ok("keys.updateKey", json!({"keyId": id, "name": "renamed", "externalId": "owner"}));
        let shown = scene.world.get_key(&id);
        assert_eq!((&shown["name"], &shown["identity"]["externalId"]), (&json!("renamed"), &json!("owner")));
        let rerolled = scene.world.admin.ok("keys.rerollKey", json!({"keyId": id, "expiration": 60_000}));
        assert_eq!(scene.world.verdict(rerolled["key"].as_str().unwrap()), "VALID");
        scene.world.admin.ok("keys.deleteKey", json!({"keyId": id}));
    }
    assert_eq!(scene.world.verdict("a"), "NOT_FOUND");
}

#[test]
fn imports_of_the_same_keys_at_once_import_each_once() {
    let scene = Scene::new();
    let key = |number: usize| {
        let of = |kind: &str| format!("{kind}{}", number % 7);
        json!({"hash": sha256(&number.to_string()), "externalId": of("owner"), "roles": [of("role")], "permissions": [of("slug")]})
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4_usize)
            .map(|turn| {
                let keys: Value = (0..200).map(|number| key((number * 37 + turn * 50) % 200)).collect();
                let scene = &scene;
                scope.spawn(move || scene.call(keys))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut migrated = BTreeSet::new();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
        for key in answer.data()["migrated"].as_array().unwrap() {
            assert!(migrated.insert(key["hash"].to_string()), "imported twice: {key}");
        }
    }
    assert_eq!(migrated.len(), 200);
    let count = |table: &str| scene.world.rows(&format!("SELECT * FROM {table} WHERE workspace_id = $ws")).len();
    assert_eq!([count("keys"), count("identities"), count("roles"), count("permissions")], [200, 7, 7, 7]);
    assert_eq!([count("key_roles"), count("key_permissions")], [200, 200]);
}

#[test]
fn five_thousand_keys_are_imported_by_one_request() {
    let scene = Scene::new();
    let keys: Value = (0..5000)
        .map(|number| {
            json!({
                "hash": sha256(&format!("secret {number}")),
                "name": format!("key {number}"),
                "externalId": format!("customer_{number}"),
                "meta": {"number": number},
                "permissions": ["docs.read", format!("docs.{}", number % 50)],
                "roles": ["customer"],
            })
        })
        .collect();
    let started = Instant::now();
    let ids = scene.import(keys);
    println!("5000 keys took {:?}", started.elapsed());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 5000);
    assert_eq!(scene.world.verify("secret 4999")["keyId"], ids[4999]);
    assert_eq!(scene.world.audit().iter().filter(|event| *event == "key.create").count(), 5000);
}
