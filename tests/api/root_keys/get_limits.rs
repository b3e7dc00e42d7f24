//! `workspace.getLimits`.

use super::minted;
use crate::harness::World;
use serde_json::json;

#[test]
fn any_root_key_sees_every_limit_and_what_is_used() {
    let (world, other) = (World::new(), World::new());
    other.key(&other.api(), json!({}));
    let (_, client) = minted(&world, &world.admin, json!({"permissions": []}));
    let api = world.api();
    world.key(&api, json!({}));
    let deleted = world.key(&api, json!({}));
    world.admin.ok("keys.deleteKey", json!({"keyId": deleted.id}));
    let none = json!({"limit": null});
    let mut expected = json!({
        "apiRequestsCountMaxPerMinute": none, "keysMax": {"limit": null, "current": 1},
        "rootKeysMax": {"limit": null, "current": 2}, "logsRetentionDaysMax": none, "logsAuditRetentionDaysMax": none,
        "apiBillableOperationsCountMaxPerMonth": none, "logdrainsMax": none,
    });
    assert_eq!(client.ok("workspace.getLimits", json!({})), expected);

    world.execute("UPDATE workspaces SET keys_max = 0, root_keys_max = 9, requests_per_minute = 500 WHERE id = $ws");
    expected["keysMax"]["limit"] = json!(0);
    expected["rootKeysMax"]["limit"] = json!(9);
    expected["apiRequestsCountMaxPerMinute"]["limit"] = json!(500);
    assert_eq!(client.ok("workspace.getLimits", json!({})), expected);

    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    assert_eq!(client.ok("workspace.getLimits", json!({}))["keysMax"]["current"], 0);
    client.call("workspace.getLimits", json!({"x": 1})).refused(400, "unkey/application/invalid_input");
}
