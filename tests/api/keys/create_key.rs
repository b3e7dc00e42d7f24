//! `keys.createKey`.

use crate::harness::World;
use serde_json::json;

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
