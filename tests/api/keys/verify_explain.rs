//! `explain: true` of `keys.verifyKey` (decisions.md "Additions").

use crate::harness::World;
use serde_json::Value;
use serde_json::json;

fn explained(world: &World<'_>, mut body: Value) -> Value {
    body["explain"] = json!(true);
    world.admin.ok("keys.verifyKey", body)
}

#[test]
fn the_answer_says_what_the_record_says() {
    let world = World::new();
    let api = world.api();
    world.admin.ok("permissions.createRole", json!({"name": "viewer", "permissions": ["docs.read"]}));
    let key = world.key(&api, json!({"name": "prod", "externalId": "acme", "roles": ["viewer"]}));
    let body = json!({"key": key.plaintext, "permissions": "docs.read AND docs.write", "explain": true});
    let answer = world.admin.call("keys.verifyKey", body);
    let explanation = answer.data()["explanation"].clone();
    assert_eq!(explanation["allowed"], false);
    assert_eq!((&explanation["step"], &explanation["missing"]), (&json!("permissions"), &json!(["docs.write"])));
    assert_eq!(
        explanation["held"],
        json!([{"permission": "docs.read", "routes": [{"type": "role", "role": "viewer"}]}])
    );
    let record = world.admin.ok("decisions.explain", json!({"requestId": answer.body["meta"]["requestId"]}));
    for field in ["code", "step", "summary", "credential", "principal", "required", "held", "missing", "change"] {
        assert_eq!(explanation[field], record[field], "{field}");
    }
}

#[test]
fn a_valid_one_is_explained_with_what_there_was_before_it() {
    let world = World::new();
    let api = world.api();
    let limits = json!([{"name": "requests", "limit": 5, "duration": 3_600_000, "autoApply": true}]);
    let key = world.key(&api, json!({"credits": {"remaining": 10}, "ratelimits": limits, "permissions": ["a", "b"]}));
    let data = explained(&world, json!({"key": key.plaintext, "permissions": "a OR c", "credits": {"cost": 3}}));
    assert_eq!((&data["code"], &data["credits"]), (&json!("VALID"), &json!(7)));
    let explanation = &data["explanation"];
    assert_eq!((&explanation["allowed"], &explanation["code"]), (&json!(true), &json!("VALID")));
    assert!(explanation["step"].is_null() && explanation["change"].is_null(), "{explanation}");
    assert_eq!(explanation["required"]["credits"], json!({"cost": 3, "remaining": 10}));
    let limit = &explanation["required"]["ratelimits"][0];
    assert_eq!((&limit["remaining"], &limit["cost"]), (&json!(5), &json!(1)));
    assert_eq!(explanation["held"], json!([{"permission": "a", "routes": [{"type": "direct"}]}]));
    // It cost what it costs, and what a simulation says of the next one is what the next one is told.
    let foretold = world.admin.ok("decisions.simulate", json!({"keyId": key.id, "credits": {"cost": 8}}));
    let data = explained(&world, json!({"key": key.plaintext, "credits": {"cost": 8}}));
    assert_eq!(data["code"], "USAGE_EXCEEDED");
    for field in
        ["allowed", "code", "step", "summary", "credential", "principal", "required", "held", "missing", "change"]
    {
        assert_eq!(data["explanation"][field], foretold[field], "{field}");
    }
}

#[test]
fn what_is_not_found_is_explained_to_whoever_may_read_it() {
    let world = World::new();
    let (api, other) = (world.api(), world.api());
    let key = world.key(&api, json!({}));
    let looks_like = |data: Value| {
        assert_eq!((&data["code"], data.get("keyId")), (&json!("NOT_FOUND"), None));
        data["explanation"]["credential"]["looksLike"].clone()
    };
    assert_eq!(looks_like(explained(&world, json!({"key": key.plaintext, "apiId": other}))), "otherApi");
    assert_eq!(looks_like(explained(&world, json!({"key": "nothing"}))), "unknown");
    assert_eq!(looks_like(explained(&world, json!({"key": world.admin.root_key()}))), "rootKey");
    let verifier = world.root_key(&[format!("api.{other}.verify_key"), "decision.*.read_decision".to_owned()]);
    let data = verifier.ok("keys.verifyKey", json!({"key": key.plaintext, "explain": true}));
    assert_eq!(looks_like(data), "notCovered");
    world.admin.ok("keys.deleteKey", json!({"keyId": key.id}));
    assert_eq!(looks_like(explained(&world, json!({"key": key.plaintext}))), "deleted");
}

#[test]
fn it_needs_a_further_permission_and_is_left_out_otherwise() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    let verifier = world.root_key(&["api.*.verify_key"]);
    let refused = verifier.call("keys.verifyKey", json!({"key": key.plaintext, "explain": true}));
    refused.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(refused.body["error"]["missing"], json!(["decision.*.read_decision"]));
    for body in [json!({"key": key.plaintext}), json!({"key": key.plaintext, "explain": false})] {
        assert_eq!(verifier.ok("keys.verifyKey", body).get("explanation"), None);
    }
}
