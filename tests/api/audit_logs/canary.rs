//! No secret is in the database: a dump of all of it is searched for every plaintext that was ever shown to the server.

use super::sealed;
use crate::harness::World;
use crate::harness::postgres;
use crate::harness::server::Options;
use keyward::model::secret::Plaintext;
use serde_json::Value;
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

/// `pg_dump` of the server that the tests run on, or of the PATH.
fn pg_dump(url: &str) -> String {
    let folder = postgres::rows(url, "SELECT setting FROM pg_config WHERE name = 'BINDIR'");
    let beside = PathBuf::from(folder[0]["setting"].as_str().unwrap()).join("pg_dump");
    let program = if beside.is_file() { beside } else { PathBuf::from("pg_dump") };
    let dumped = Command::new(&program).arg("--inserts").arg(url).output().unwrap_or_else(|error| panic!("{error}"));
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    String::from_utf8(dumped.stdout).unwrap()
}

fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap().to_owned()
}

#[test]
fn no_plaintext_is_anywhere_in_a_dump() {
    let server = Options::default().database(postgres::fresh_database()).flags("--auth-failures-per-minute 0").start();
    let world = World::on(&server);
    let admin = &world.admin;
    let mut secrets = vec![admin.root_key().to_owned()];
    let api = world.api_with(json!({"recoverable": true, "defaultPrefix": "canary"}));
    let key =
        world.key(&api, json!({"recoverable": true, "name": "kept", "externalId": "ada", "credits": {"remaining": 1}}));
    secrets.push(key.plaintext.clone());
    // Verified well, badly, too often, and by somebody who may not.
    let none = world.root_key::<&str>(&[]);
    secrets.push(none.root_key().to_owned());
    for _ in 0..3 {
        world.verify(&key.plaintext);
    }
    none.call("keys.verifyKey", json!({"key": key.plaintext}))
        .refused(403, "unkey/authorization/insufficient_permissions");
    none.call("keys.whoami", json!({"key": key.plaintext}));
    world.verify(&key.plaintext);
    admin.ok("keys.getKey", json!({"keyId": key.id, "decrypt": true}));
    admin.ok("keys.whoami", json!({"key": key.plaintext}));
    admin.ok("apis.listKeys", json!({"apiId": api, "decrypt": true}));
    secrets.push(text(&admin.ok("keys.rerollKey", json!({"keyId": key.id, "expiration": 60_000})), "key"));
    // Keys that there are not, root keys where keys belong, keys where root keys belong, and requests that are wrong.
    let unknown = Plaintext::generate(Some("canary"), 16).unwrap().reveal().to_owned();
    world.verify(&unknown);
    world.verify(admin.root_key());
    world
        .anonymous()
        .bearer(&unknown)
        .call("apis.listApis", json!({}))
        .refused(401, "unkey/authentication/key_not_found");
    world.anonymous().bearer(&key.plaintext).call("keys.deleteKey", json!({"keyId": key.id}));
    admin
        .call("keys.verifyKey", json!({"key": unknown, "more": unknown}))
        .refused(400, "unkey/application/invalid_input");
    secrets.push(unknown);
    // Root keys, minted and rerolled.
    let minted = admin.ok("rootKeys.createKey", json!({"permissions": ["api.*.verify_key"]}));
    secrets.push(text(&minted, "key"));
    secrets.push(text(&admin.ok("rootKeys.rerollKey", json!({"keyId": minted["keyId"], "expiration": 0})), "key"));
    world.anonymous().bearer(text(&minted, "key")).call("keys.verifyKey", json!({"key": key.plaintext}));
    // Imported, and verified for the first time.
    let imported = Plaintext::generate(Some("canary"), 24).unwrap().reveal().to_owned();
    let migration = admin.ok("migrations.createMigration", json!({"name": "old", "algorithm": "sha256"}));
    let hash: String = Plaintext::new(&imported).hash().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let keys = json!([{"hash": hash}]);
    admin.ok("keys.migrateKeys", json!({"migrationId": migration["migrationId"], "apiId": api, "keys": keys}));
    assert_eq!(world.verdict(&imported), "VALID");
    secrets.push(imported);
    admin.ok("keys.deleteKey", json!({"keyId": key.id}));
    sealed(&world);
    // What was gathered is written at the end.
    server.stop();
    let dump = pg_dump(&server.database);
    assert!(dump.contains(&key.id) && dump.contains("key.decrypt"), "the dump holds what it should");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (number, secret) in secrets.iter().enumerate() {
        // Without its prefix, too, and as bytes.
        let random = secret.rsplit('_').next().unwrap();
        assert!(random.len() >= 16);
        for form in [random.to_owned(), hex(random), hex(random).to_uppercase()] {
            assert!(!dump.contains(&form), "secret {number} is in the dump");
        }
    }
}
