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
    let identity = theirs.admin.ok("identities.createIdentity", json!({"externalId": "theirs"}));
    let identity = identity["identityId"].as_str().unwrap();
    let unknown_identity = "id_that_never_was";
    theirs.admin.ok("permissions.createRole", json!({"name": "their role", "permissions": ["their.permission"]}));
    let root_key = theirs.root_key_until(&["api.*.read_key"], None).0.to_string();
    let name = json!({"name": "mine", "algorithm": "sha256"});
    let migration = mine.admin.ok("migrations.createMigration", name)["migrationId"].clone();
    let unknown_api = "api_that_never_was";
    let unknown_key = "key_that_never_was";
    for operation in OPERATIONS {
        let root = |id: &str| if id == key.id { root_key.clone() } else { "root_that_never_was".to_owned() };
        let with = |api: &str, id: &str, plaintext: &str, identity: &str| -> Option<Value> {
            let [role, permission] =
                if api == unknown_api { ["no role", "no.permission"] } else { ["their role", "their.permission"] };
            Some(match operation.name {
                "apis.createApi" | "apis.listApis" | "migrations.createMigration" => return None,
                // They name nothing that anybody else could have.
                "rootKeys.createKey" | "rootKeys.listKeys" | "rootKeys.whoami" | "workspace.getLimits" => return None,
                "apis.getApi" | "apis.deleteApi" => json!({"apiId": api}),
                "apis.updateApi" => json!({"apiId": api, "name": "mine now"}),
                "apis.listKeys" => json!({"apiId": api, "decrypt": true}),
                "keys.createKey" => json!({"apiId": api, "recoverable": true}),
                "keys.verifyKey" | "keys.whoami" => json!({"key": plaintext}),
                "keys.getKey" => json!({"keyId": id, "decrypt": true}),
                "keys.updateKey" => json!({"keyId": id, "enabled": false}),
                "keys.rerollKey" => json!({"keyId": id, "expiration": 0}),
                "keys.deleteKey" => json!({"keyId": id, "permanent": true}),
                "identities.createIdentity" | "identities.listIdentities" => return None,
                "identities.getIdentity" | "identities.deleteIdentity" => json!({"identity": identity}),
                "identities.updateIdentity" => json!({"identity": identity, "enabled": false}),
                "identities.setPermissions" => json!({"identity": identity, "permissions": ["mine"]}),
                "identities.setRoles" => json!({"identity": identity, "roles": []}),
                "keys.addPermissions" | "keys.setPermissions" | "keys.removePermissions" => {
                    json!({"keyId": id, "permissions": ["their.permission"]})
                }
                "keys.addRoles" | "keys.setRoles" | "keys.removeRoles" => json!({"keyId": id, "roles": ["their role"]}),
                "permissions.createPermission" | "permissions.createRole" => return None,
                "permissions.listPermissions" | "permissions.listRoles" => return None,
                "permissions.getPermission" | "permissions.deletePermission" => json!({"permission": permission}),
                "permissions.updatePermission" => json!({"permission": permission, "slug": "mine.now"}),
                "permissions.getRole" | "permissions.deleteRole" => json!({"role": role}),
                "permissions.updateRole" => json!({"role": role, "name": "mine now"}),
                "permissions.setRolePermissions" => json!({"role": role, "permissions": []}),
                "rootKeys.getKey" | "rootKeys.deleteKey" => json!({"keyId": root(id)}),
                "rootKeys.updateKey" => json!({"keyId": root(id), "enabled": false}),
                "rootKeys.rerollKey" => json!({"keyId": root(id), "expiration": 0}),
                "keys.migrateKeys" => {
                    json!({"migrationId": migration, "apiId": api, "keys": [{"hash": "0".repeat(64), "roles": ["r"]}]})
                }
                other => panic!("{other} has no fixture: add one, so that its tenancy is tested"),
            })
        };
        let Some(body) = with(&api, &key.id, &key.plaintext, identity) else { continue };
        let before = theirs.everything();
        let foreign = mine.admin.call(operation.name, body);
        let unknown =
            mine.admin.call(operation.name, with(unknown_api, unknown_key, "sk_never", unknown_identity).unwrap());
        assert_eq!(foreign.without_request_id(), unknown.without_request_id(), "{}", operation.name);
        if operation.name == "keys.verifyKey" {
            assert_eq!(foreign.data(), &json!({"valid": false, "code": "NOT_FOUND"}));
        } else {
            assert_eq!(foreign.status, 404, "{}: {}", operation.name, foreign.text);
        }
        assert_eq!(before, theirs.everything(), "{} changed another workspace", operation.name);
    }
    for list in ["apis.listApis", "identities.listIdentities", "permissions.listPermissions", "permissions.listRoles"] {
        assert_eq!(mine.admin.ok(list, json!({})), json!([]));
    }
    let listed = mine.admin.ok("rootKeys.listKeys", json!({}));
    assert_eq!(listed.as_array().unwrap().len(), 1);
    // What they call theirs is free here.
    mine.admin.ok("permissions.createPermission", json!({"name": "mine", "slug": "their.permission"}));
    mine.admin.ok("permissions.createRole", json!({"name": "their role"}));
    assert_eq!(theirs.verdict(&key.plaintext), "VALID");
}
