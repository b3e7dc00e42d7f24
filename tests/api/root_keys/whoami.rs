//! `rootKeys.whoami`.

use super::minted;
use crate::harness::World;
use serde_json::json;

#[test]
fn any_root_key_may_ask_about_itself() {
    let world = World::new();
    let (id, client) = minted(&world, &world.admin, json!({"permissions": []}));
    let expected = json!({
        "keyId": id, "workspaceId": world.workspace.to_string(), "name": null, "enabled": true, "expires": null,
        "permissions": [],
    });
    assert_eq!(client.ok("rootKeys.whoami", json!({})), expected);
    client.call("rootKeys.whoami", json!({"keyId": id})).refused(400, "unkey/application/invalid_input");
    let key = world.key(&world.api(), json!({}));
    world
        .anonymous()
        .bearer(key.plaintext)
        .call("rootKeys.whoami", json!({}))
        .refused(401, "unkey/authentication/key_not_found");
}
