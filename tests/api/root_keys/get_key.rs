//! `rootKeys.getKey`.

use super::minted;
use crate::harness::World;
use serde_json::json;

#[test]
fn everything_but_the_secret_is_shown() {
    let world = World::new();
    let ends = 4_000_000_000_000_i64;
    let (id, client) =
        minted(&world, &world.admin, json!({"permissions": ["api.*.read_key"], "name": "n", "expires": ends}));
    let shown = world.admin.ok("rootKeys.getKey", json!({"keyId": id}));
    assert_eq!(shown["keyId"], id);
    assert_eq!((&shown["name"], &shown["expires"], &shown["enabled"]), (&json!("n"), &json!(ends), &json!(true)));
    assert_eq!(shown["lastUsedAt"], 0);
    assert!(!shown.to_string().contains(client.root_key()));

    let (id, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let shown = world.admin.ok("rootKeys.getKey", json!({"keyId": id}));
    assert_eq!((&shown["name"], &shown["expires"], &shown["permissions"]), (&json!(null), &json!(null), &json!([])));
    assert_eq!(world.audit(), ["rootKey.create", "rootKey.create"]);
}

#[test]
fn unknown_foreign_deleted_and_uncovered_root_keys_are_the_same_404() {
    let (world, other) = (World::new(), World::new());
    let (id, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let (deleted, _) = minted(&world, &world.admin, json!({"permissions": []}));
    world.admin.ok("rootKeys.deleteKey", json!({"keyId": deleted}));
    let (foreign, _) = minted(&other, &other.admin, json!({"permissions": []}));
    let own = world.root_key(&[format!("root_key.{id}.read_root_key")]);
    own.ok("rootKeys.getKey", json!({"keyId": id}));
    let (uncovered, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let answers: Vec<_> = [uncovered, deleted, foreign, "root_never".to_owned()]
        .iter()
        .map(|id| {
            let answer = own.call("rootKeys.getKey", json!({"keyId": id}));
            answer.refused(404, "unkey/data/key_not_found");
            answer.without_request_id()
        })
        .collect();
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_key_of_an_api_is_no_root_key() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    for operation in ["rootKeys.getKey", "rootKeys.deleteKey", "rootKeys.updateKey"] {
        world.admin.call(operation, json!({"keyId": key.id})).refused(404, "unkey/data/key_not_found");
    }
}
