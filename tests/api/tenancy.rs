//! Nobody sees, uses or changes what belongs to another workspace. Driven by the table of operations.

use crate::decisions;
use crate::harness::World;
use crate::ratelimit;
use keyward::http::operations::OPERATIONS;
use serde_json::Value;
use serde_json::json;

/// What a request may name.
struct Named {
    api: String,
    key: String,
    plaintext: String,
    identity: String,
    role: String,
    permission: String,
    root_key: String,
    namespace: String,
    denied: String,
}

impl Named {
    /// One of everything in a world.
    fn made_in(world: &World<'_>) -> Self {
        let api = world.api_with(json!({"recoverable": true}));
        let key = world.key(&api, json!({"recoverable": true, "name": "theirs"}));
        let identity = world.admin.ok("identities.createIdentity", json!({"externalId": "theirs"}));
        let role = json!({"name": "their role", "permissions": ["their.permission"]});
        world.admin.ok("permissions.createRole", role);
        let namespace = ratelimit::namespace(world, "their namespace");
        ratelimit::set_override(world, "their namespace", "their customer", 5);
        Self {
            api,
            key: key.id,
            plaintext: key.plaintext,
            identity: identity["identityId"].as_str().unwrap().to_owned(),
            role: "their role".to_owned(),
            permission: "their.permission".to_owned(),
            root_key: world.root_key_until(&["api.*.read_key"], None).0.to_string(),
            namespace,
            denied: decisions::request_id(&world.root_key::<&str>(&[]).call("apis.listApis", json!({}))),
        }
    }

    /// Names of nothing.
    fn never_was() -> Self {
        let [api, key, plaintext, identity, role, permission, root_key, namespace] =
            ["api", "key", "sk", "id", "role", "permission", "root", "rlns"]
                .map(|kind| format!("{kind}_that_never_was"));
        let denied = "req_11111111111111neverwas".to_owned();
        Self { api, key, plaintext, identity, role, permission, root_key, namespace, denied }
    }
}

/// A request that names these; `None` if the operation names nothing that anybody else could have.
fn request(operation: &str, named: &Named, migration: &Value) -> Option<Value> {
    let Named { api, key, plaintext, identity, role, permission, root_key, namespace, denied } = named;
    Some(match operation {
        "apis.createApi" | "apis.listApis" | "migrations.createMigration" | "workspace.getLimits" => return None,
        "rootKeys.createKey" | "rootKeys.listKeys" | "rootKeys.whoami" => return None,
        "identities.createIdentity" | "identities.listIdentities" => return None,
        "permissions.createPermission" | "permissions.createRole" => return None,
        "permissions.listPermissions" | "permissions.listRoles" | "decisions.listDecisions" => return None,
        "decisions.explain" => json!({"requestId": denied}),
        // A namespace that is not there is made: `ratelimit::limit` tests that it is another one.
        "ratelimit.limit" | "ratelimit.multiLimit" | "ratelimit.listNamespaces" => return None,
        "ratelimit.setOverride" => json!({"namespace": namespace, "identifier": "*", "limit": 0, "duration": 1000}),
        "ratelimit.getOverride" | "ratelimit.deleteOverride" => {
            json!({"namespace": namespace, "identifier": "their customer"})
        }
        "ratelimit.listOverrides" | "ratelimit.getNamespace" | "ratelimit.deleteNamespace" => {
            json!({"namespace": namespace})
        }
        "auditLogs.listEvents" => json!({"resourceId": key}),
        "apis.getApi" | "apis.deleteApi" => json!({"apiId": api}),
        "apis.updateApi" => json!({"apiId": api, "name": "mine now"}),
        "apis.listKeys" => json!({"apiId": api, "decrypt": true}),
        "keys.createKey" => json!({"apiId": api, "recoverable": true}),
        "keys.verifyKey" | "keys.whoami" => json!({"key": plaintext}),
        "keys.getKey" => json!({"keyId": key, "decrypt": true}),
        "keys.updateKey" => json!({"keyId": key, "enabled": false}),
        "keys.updateCredits" => json!({"keyId": key, "operation": "set", "value": 0}),
        "keys.rerollKey" => json!({"keyId": key, "expiration": 0}),
        "keys.deleteKey" => json!({"keyId": key, "permanent": true}),
        "keys.addPermissions" | "keys.setPermissions" => json!({"keyId": key, "permissions": ["their.permission"]}),
        "keys.removePermissions" => json!({"keyId": key, "permissions": ["their.permission"]}),
        "keys.addRoles" | "keys.setRoles" | "keys.removeRoles" => json!({"keyId": key, "roles": ["their role"]}),
        "keys.migrateKeys" => {
            json!({"migrationId": migration, "apiId": api, "keys": [{"hash": "0".repeat(64), "roles": ["r"]}]})
        }
        "analytics.getUsage" => json!({"apiId": api, "from": 0, "to": 1}),
        "identities.getIdentity" | "identities.deleteIdentity" => json!({"identity": identity}),
        "identities.updateIdentity" => json!({"identity": identity, "enabled": false}),
        "identities.setPermissions" => json!({"identity": identity, "permissions": ["mine"]}),
        "identities.setRoles" => json!({"identity": identity, "roles": []}),
        "permissions.getPermission" | "permissions.deletePermission" => json!({"permission": permission}),
        "permissions.updatePermission" => json!({"permission": permission, "slug": "mine.now"}),
        "permissions.getRole" | "permissions.deleteRole" => json!({"role": role}),
        "permissions.updateRole" => json!({"role": role, "name": "mine now"}),
        "permissions.setRolePermissions" => json!({"role": role, "permissions": []}),
        "decisions.simulate" => json!({"keyId": key, "permissions": "their.permission"}),
        "rootKeys.getKey" | "rootKeys.deleteKey" => json!({"keyId": root_key}),
        "rootKeys.updateKey" => json!({"keyId": root_key, "enabled": false}),
        "rootKeys.rerollKey" => json!({"keyId": root_key, "expiration": 0}),
        other => panic!("{other} has no fixture: add one, so that its tenancy is tested"),
    })
}

#[test]
fn what_belongs_to_another_workspace_does_not_exist() {
    let (mine, theirs) = (World::new(), World::new());
    let named = Named::made_in(&theirs);
    let import = json!({"name": "mine", "algorithm": "sha256"});
    let migration = mine.admin.ok("migrations.createMigration", import)["migrationId"].clone();
    for operation in OPERATIONS {
        let Some(body) = request(operation.name, &named, &migration) else { continue };
        let before = theirs.everything();
        let foreign = mine.admin.call(operation.name, body);
        let unknown = request(operation.name, &Named::never_was(), &migration).unwrap();
        let unknown = mine.admin.call(operation.name, unknown);
        assert_eq!(foreign.without_request_id(), unknown.without_request_id(), "{}", operation.name);
        if operation.name == "keys.verifyKey" {
            assert_eq!(foreign.data(), &json!({"valid": false, "code": "NOT_FOUND"}));
        } else if operation.name == "analytics.getUsage" {
            assert_eq!(foreign.data()[0]["total"], json!(0), "{}", foreign.text);
        } else if operation.name == "auditLogs.listEvents" {
            assert_eq!(foreign.data(), &json!([]));
        } else {
            assert_eq!(foreign.status, 404, "{}: {}", operation.name, foreign.text);
        }
        assert_eq!(before, theirs.everything(), "{} changed another workspace", operation.name);
    }
    assert_eq!(theirs.verdict(&named.plaintext), "VALID");
}

#[test]
fn lists_hold_nothing_of_another_workspace_and_names_are_free_in_each() {
    let (mine, theirs) = (World::new(), World::new());
    Named::made_in(&theirs);
    for list in [
        "apis.listApis",
        "identities.listIdentities",
        "permissions.listPermissions",
        "permissions.listRoles",
        "ratelimit.listNamespaces",
        "decisions.listDecisions",
    ] {
        assert_eq!(mine.admin.ok(list, json!({})), json!([]));
    }
    assert_eq!(mine.admin.ok("rootKeys.listKeys", json!({})).as_array().unwrap().len(), 1);
    mine.admin.ok("permissions.createPermission", json!({"name": "mine", "slug": "their.permission"}));
    mine.admin.ok("permissions.createRole", json!({"name": "their role"}));
    mine.admin.ok("identities.createIdentity", json!({"externalId": "theirs"}));
}
