//! `rootKeys.listKeys`.

use super::minted;
use crate::harness::World;
use serde_json::json;

#[test]
fn pages_follow_each_other_in_the_order_of_making() {
    let world = World::new();
    let ids: Vec<_> = (0..5).map(|_| minted(&world, &world.admin, json!({"permissions": []})).0).collect();
    let (mut seen, mut cursor) = (Vec::new(), json!(null));
    loop {
        let mut body = json!({"limit": 2});
        if !cursor.is_null() {
            body["cursor"] = cursor;
        }
        let answer = world.admin.call("rootKeys.listKeys", body);
        let rows = answer.data().as_array().unwrap();
        assert!(rows.len() <= 2);
        seen.extend(rows.iter().map(|row| row["keyId"].as_str().unwrap().to_owned()));
        cursor = answer.body["pagination"]["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    // The admin's own root key was there first.
    assert_eq!(seen[1..], ids);
    for limit in [0, 101] {
        let answer = world.admin.call("rootKeys.listKeys", json!({"limit": limit}));
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.limit"]);
    }
    world.admin.ok("rootKeys.listKeys", json!({"limit": 100}));
}

#[test]
fn deleted_and_foreign_root_keys_are_not_listed_and_no_secret_is() {
    let (world, other) = (World::new(), World::new());
    other.root_key(&["api.*.read_key"]);
    let (deleted, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let (kept, client) = minted(&world, &world.admin, json!({"permissions": [], "name": "kept"}));
    world.admin.ok("rootKeys.deleteKey", json!({"keyId": deleted}));
    let rows = world.admin.ok("rootKeys.listKeys", json!({}));
    let ids: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["keyId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[1], kept);
    assert!(!rows.to_string().contains(client.root_key()));
    assert_eq!(rows[1], world.admin.ok("rootKeys.getKey", json!({"keyId": kept})));
}
