//! `rootKeys.deleteKey`.

use super::minted;
use super::newest_audit;
use super::refused;
use crate::harness::World;
use serde_json::json;

#[test]
fn a_deleted_root_key_is_unknown_at_its_next_request() {
    let world = World::new();
    let (id, client) = minted(&world, &world.admin, json!({"permissions": ["api.*.read_api"]}));
    client.ok("apis.listApis", json!({}));
    world.admin.ok("rootKeys.deleteKey", json!({"keyId": id}));
    client.call("apis.listApis", json!({})).refused(401, "unkey/authentication/key_not_found");
    assert_eq!(newest_audit(&world)["display"], format!("deleted root key {id}; removed api.*.read_api"));
    assert_eq!(world.audit(), ["rootKey.create", "rootKey.delete"]);
    for operation in ["rootKeys.deleteKey", "rootKeys.getKey", "rootKeys.updateKey"] {
        refused(&world, &world.admin, operation, json!({"keyId": id}), 404, "unkey/data/key_not_found");
    }
}

#[test]
fn a_root_key_may_delete_itself() {
    let world = World::new();
    let client = world.root_key(&["root_key.*.delete_root_key"]);
    let own = client.ok("rootKeys.whoami", json!({}))["keyId"].clone();
    client.ok("rootKeys.deleteKey", json!({"keyId": own}));
    client.call("rootKeys.whoami", json!({})).refused(401, "unkey/authentication/key_not_found");
}

#[test]
fn deleting_at_once_deletes_once() {
    let world = World::new();
    let (id, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.admin.call("rootKeys.deleteKey", json!({"keyId": id})).status))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 404].contains(status)), "{statuses:?}");
    assert_eq!(world.audit(), ["rootKey.create", "rootKey.delete"]);
}
