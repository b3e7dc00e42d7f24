//! Nobody sees, uses or changes what belongs to another workspace. Driven by the table of operations.

use crate::harness::World;
use keyward::http::operations::OPERATIONS;
use serde_json::Value;
use serde_json::json;

#[test]
fn what_belongs_to_another_workspace_does_not_exist() {
    let (mine, theirs) = (World::new(), World::new());
    let api = theirs.api_with(json!({"recoverable": true}));
    let key = theirs.key(&api, json!({"recoverable": true, "name": "theirs"}));
    let name = json!({"name": "mine", "algorithm": "sha256"});
    let migration = mine.admin.ok("migrations.createMigration", name)["migrationId"].clone();
    let unknown_api = "api_that_never_was";
    let unknown_key = "key_that_never_was";
    for operation in OPERATIONS {
        let with = |api: &str, id: &str, plaintext: &str| -> Option<Value> {
            Some(match operation.name {
                "apis.createApi" | "apis.listApis" | "migrations.createMigration" => return None,
                "apis.getApi" | "apis.deleteApi" => json!({"apiId": api}),
                "apis.updateApi" => json!({"apiId": api, "name": "mine now"}),
                "apis.listKeys" => json!({"apiId": api, "decrypt": true}),
                "keys.createKey" => json!({"apiId": api, "recoverable": true}),
                "keys.verifyKey" | "keys.whoami" => json!({"key": plaintext}),
                "keys.getKey" => json!({"keyId": id, "decrypt": true}),
                "keys.updateKey" => json!({"keyId": id, "enabled": false}),
                "keys.rerollKey" => json!({"keyId": id, "expiration": 0}),
                "keys.deleteKey" => json!({"keyId": id, "permanent": true}),
                "keys.migrateKeys" => {
                    json!({"migrationId": migration, "apiId": api, "keys": [{"hash": "0".repeat(64), "roles": ["r"]}]})
                }
                other => panic!("{other} has no fixture: add one, so that its tenancy is tested"),
            })
        };
        let Some(body) = with(&api, &key.id, &key.plaintext) else { continue };
        let before = theirs.everything();
        let foreign = mine.admin.call(operation.name, body);
        let unknown = mine.admin.call(operation.name, with(unknown_api, unknown_key, "sk_never").unwrap());
        assert_eq!(foreign.without_request_id(), unknown.without_request_id(), "{}", operation.name);
        if operation.name == "keys.verifyKey" {
            assert_eq!(foreign.data(), &json!({"valid": false, "code": "NOT_FOUND"}));
        } else {
            assert_eq!(foreign.status, 404, "{}: {}", operation.name, foreign.text);
        }
        assert_eq!(before, theirs.everything(), "{} changed another workspace", operation.name);
    }
    let listed = mine.admin.ok("apis.listApis", json!({}));
    assert_eq!(listed, json!([]));
    assert_eq!(theirs.verdict(&key.plaintext), "VALID");
}
