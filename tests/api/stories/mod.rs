//! What operators and customers live through, from refusal to repair. (A root key that may not mint: `root_keys/create_key.rs`.)

mod denial;

use crate::harness::World;
use crate::harness::server::Options;
use crate::permissions::labels;
use crate::permissions::role;
use serde_json::Value;
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

#[test]
fn a_customer_uses_a_plan_up_is_refilled_and_gets_a_greater_one_and_no_denial_costs_anything() {
    const HOUR_MS: i64 = 3_600_000;
    let server = Options::default().start();
    let clock = &server.clock;
    // Two hours before midnight: no window ends in between, and the refill is still to come.
    let day_ms = 24 * HOUR_MS;
    let to_midnight = day_ms - clock.now().timestamp_millis() % day_ms;
    clock.advance(chrono::Duration::milliseconds((to_midnight + day_ms - 2 * HOUR_MS) % day_ms));
    let world = World::on(&server);
    let operator = &world.admin;
    let service = world.root_key(&["api.*.verify_key", "ratelimit.*.limit", "ratelimit.*.create_namespace"]);
    let api = world.api();

    // The plan: five calls a day, three an hour for all keys of the customer together.
    let requests = json!({"name": "requests", "limit": 3, "duration": HOUR_MS, "autoApply": true});
    operator.ok("identities.createIdentity", json!({"externalId": "acme", "ratelimits": [requests]}));
    let credits = json!({"remaining": 5, "refill": {"interval": "daily", "amount": 5}});
    let one = world.key(&api, json!({"externalId": "acme", "credits": credits}));
    let other = world.key(&api, json!({"externalId": "acme"}));
    let verify = |key: &str| -> (String, Value, Value) {
        let said = service.ok("keys.verifyKey", json!({"key": key}));
        (said["code"].as_str().unwrap().to_owned(), said["credits"].clone(), said["ratelimits"][0]["remaining"].clone())
    };
    let said = |code: &str, credits: Value, left: i64| (code.to_owned(), credits, json!(left));

    assert_eq!(verify(&one.plaintext), said("VALID", json!(4), 2));
    assert_eq!(verify(&other.plaintext), said("VALID", Value::Null, 1));
    assert_eq!(verify(&one.plaintext), said("VALID", json!(3), 0));
    assert_eq!(verify(&one.plaintext), said("RATE_LIMITED", json!(3), 0));
    assert_eq!(verify(&other.plaintext), said("RATE_LIMITED", Value::Null, 0));

    // A greater plan decides the next call; what was counted stays. Then the credits are the bound.
    let more = json!({"name": "requests", "limit": 20, "duration": HOUR_MS, "autoApply": true});
    operator.ok("identities.updateIdentity", json!({"identity": "acme", "ratelimits": [more]}));
    for left in [2, 1, 0] {
        assert_eq!(verify(&one.plaintext).1, json!(left));
    }
    assert_eq!(verify(&one.plaintext), said("USAGE_EXCEEDED", json!(0), 14));
    assert_eq!(verify(&other.plaintext), said("VALID", Value::Null, 13), "the denial took no token");

    // The operator helps out, and midnight does the rest: it sets, and does not add.
    let changed = json!({"keyId": one.id, "operation": "increment", "value": 2});
    assert_eq!(operator.ok("keys.updateCredits", changed)["remaining"], json!(2));
    assert_eq!(verify(&one.plaintext).1, json!(1));
    clock.advance(chrono::Duration::milliseconds(2 * HOUR_MS));
    assert_eq!(operator.ok("keys.getKey", json!({"keyId": one.id}))["credits"]["remaining"], json!(5));
    assert_eq!(verify(&one.plaintext).1, json!(4));

    // What is no key is limited in a namespace; who pays more has an override there.
    let email = json!({"namespace": "emails", "identifier": "acme", "limit": 1, "duration": HOUR_MS});
    let sent = |service: &crate::harness::Client| service.ok("ratelimit.limit", email.clone())["success"].clone();
    assert_eq!([sent(&service), sent(&service)], [json!(true), json!(false)]);
    let paid = json!({"namespace": "emails", "identifier": "acme", "limit": 3, "duration": HOUR_MS});
    operator.ok("ratelimit.setOverride", paid);
    assert_eq!([sent(&service), sent(&service), sent(&service)], [json!(true), json!(true), json!(false)]);
}
