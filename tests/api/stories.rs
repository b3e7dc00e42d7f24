//! What operators live through, from the refusal to its repair. (A root key that may not mint: `root_keys/create_key.rs`.)

use crate::harness::World;
use crate::permissions::labels;
use crate::permissions::role;
use serde_json::json;

#[test]
fn the_operator_sees_what_an_owners_role_lacks_and_grants_it_and_the_next_verification_is_valid() {
    let world = World::new();
    let operator = &world.admin;
    let service = world.root_key(&["api.*.verify_key"]);
    let api = world.api();
    role(&world, "support", &["tickets.read"]);
    let owner = operator.ok("identities.createIdentity", json!({"externalId": "user_1", "meta": {"team": "north"}}));
    operator.ok("identities.setRoles", json!({"identity": "user_1", "roles": ["support"]}));
    operator.ok("permissions.createRole", json!({"name": "guest", "permissions": ["news.read"]}));
    let key = world.key(&api, json!({"externalId": "user_1", "roles": ["guest"], "permissions": ["self.read"]}));

    let query = json!({"key": key.plaintext, "permissions": "tickets.read AND tickets.close"});
    let denied = service.ok("keys.verifyKey", query.clone());
    assert_eq!(
        denied,
        json!({
            "valid": false, "code": "INSUFFICIENT_PERMISSIONS", "keyId": key.id, "keyspaceId": api, "enabled": true,
            "permissions": ["news.read", "self.read", "tickets.read"], "roles": ["guest"],
            "identity": {
                "id": owner["identityId"], "externalId": "user_1", "meta": {"team": "north"},
            },
        })
    );

    // From the owner that the denial names to its role, and from there to what the role lacks.
    let identity = operator.ok("identities.getIdentity", json!({"identity": denied["identity"]["id"]}));
    assert_eq!(identity["roles"], json!(["support"]));
    let support = operator.ok("permissions.getRole", json!({"role": "support"}));
    assert_eq!(labels(&support["permissions"], "slug"), ["tickets.read"]);

    let grant = json!({"role": "support", "permissions": ["tickets.read", "tickets.close"]});
    operator.ok("permissions.setRolePermissions", grant);
    let allowed = service.ok("keys.verifyKey", query);
    assert_eq!((&allowed["valid"], &allowed["code"]), (&json!(true), &json!("VALID")));
    assert_eq!(allowed["permissions"], json!(["news.read", "self.read", "tickets.close", "tickets.read"]));
}
