//! The owner of a key: `externalId` in `keys.createKey`, `keys.updateKey`, `keys.rerollKey` and `apis.listKeys`.

use crate::harness::World;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;

fn owner(world: &World<'_>, key: &str) -> Value {
    world.get_key(key)["identity"].clone()
}

#[test]
fn external_ids_have_1_to_255_characters_of_a_narrow_alphabet() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    for name in ["a", "aZ09_.-", &"x".repeat(255)] {
        world.key(&api, json!({"externalId": name}));
        world.admin.ok("keys.updateKey", json!({"keyId": key.id, "externalId": name}));
        assert_eq!(owner(&world, &key.id)["externalId"], name);
    }
    let before = world.everything();
    for name in [json!(""), json!("a b"), json!("a@b"), json!("a:b"), json!("ä"), json!("x".repeat(256)), json!(1)] {
        for (operation, field, id) in [("keys.createKey", "apiId", &api), ("keys.updateKey", "keyId", &key.id)] {
            let answer = world.admin.call(operation, json!({field: id, "externalId": name}));
            answer.refused(400, "unkey/application/invalid_input");
            assert!(answer.locations().iter().all(|found| *found == "body.externalId"), "{operation} {name}");
        }
    }
    let answer = world.admin.call("keys.createKey", json!({"apiId": api, "externalId": null}));
    assert_eq!(answer.locations(), ["body.externalId"]);
    assert_eq!(world.everything(), before);
}

#[test]
fn keys_of_one_external_id_share_one_identity() {
    let world = World::new();
    let body = json!({"externalId": "customer", "meta": {"plan": "pro"}});
    let id = world.admin.ok("identities.createIdentity", body)["identityId"].clone();
    let keys = [(); 2].map(|()| world.key(&world.api(), json!({"externalId": "customer"})));
    let expected = json!({"id": id, "externalId": "customer", "meta": {"plan": "pro"}});
    for key in &keys {
        assert_eq!(owner(&world, &key.id), expected);
        assert_eq!(world.verify(&key.plaintext)["identity"], expected);
        assert_eq!(world.admin.ok("keys.whoami", json!({"key": key.plaintext}))["identity"], expected);
    }
    let other = world.key(&world.api(), json!({"externalId": "Customer"}));
    assert_ne!(owner(&world, &other.id)["id"], id);
    assert_eq!(World::new().admin.ok("identities.listIdentities", json!({})), json!([]));
}

#[test]
fn racing_keys_of_a_new_owner_end_with_one_identity() {
    let world = World::new();
    let api = world.api();
    let ids: BTreeSet<_> = std::thread::scope(|scope| {
        let make = || owner(&world, &world.key(&api, json!({"externalId": "raced"})).id)["id"].to_string();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
    assert_eq!(world.admin.ok("identities.listIdentities", json!({})).as_array().unwrap().len(), 1);
    assert_eq!(world.audit().iter().filter(|event| *event == "identity.create").count(), 1);
}

#[test]
fn keys_and_identities_made_and_deleted_at_once_never_fail() {
    let world = World::new();
    let api = world.api();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..6 {
                    world.key(&api, json!({"externalId": "busy"}));
                }
            });
            scope.spawn(|| {
                for _ in 0..6 {
                    let deleted = world.admin.call("identities.deleteIdentity", json!({"identity": "busy"})).status;
                    let made = world.admin.call("identities.createIdentity", json!({"externalId": "busy"})).status;
                    assert!([200, 404].contains(&deleted) && [200, 409].contains(&made), "{deleted} {made}");
                }
            });
        }
    });
    let live = world.rows("SELECT 1 AS yes FROM identities WHERE workspace_id = $ws AND deleted_at IS NULL");
    assert!(live.len() <= 1);
}

#[test]
fn a_key_that_is_refused_leaves_no_identity_behind() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let before = world.everything();
    let body = json!({"apiId": api, "externalId": "new", "roles": ["never"]});
    world.admin.call("keys.createKey", body).refused(404, "unkey/data/role_not_found");
    let body = json!({"keyId": key.id, "externalId": "new", "roles": ["never"]});
    world.admin.call("keys.updateKey", body).refused(404, "unkey/data/role_not_found");
    assert_eq!(world.everything(), before);
}

#[test]
fn an_update_keeps_sets_and_clears_the_owner() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"externalId": "first"}));
    let first = owner(&world, &key.id);
    let update = |mut fields: Value| {
        fields["keyId"] = json!(key.id);
        world.admin.ok("keys.updateKey", fields);
        world.verify(&key.plaintext)["identity"].clone()
    };
    assert_eq!(update(json!({"name": "renamed"})), first);
    let second = update(json!({"externalId": "second"}));
    assert_eq!(second["externalId"], "second");
    assert_ne!(second["id"], first["id"]);
    assert_eq!(update(json!({"externalId": null})), Value::Null);
    assert_eq!(update(json!({})), Value::Null);
    assert_eq!(update(json!({"externalId": "first"})), first);
    // Whoever lost its last key is still there.
    assert_eq!(world.admin.ok("identities.getIdentity", json!({"identity": "second"}))["id"], second["id"]);
}

#[test]
fn what_the_owner_holds_comes_and_goes_with_it() {
    let world = World::new();
    world.admin.ok("identities.createIdentity", json!({"externalId": "rich"}));
    world.admin.ok("identities.setPermissions", json!({"identity": "rich", "permissions": ["a"]}));
    let key = world.key(&world.api(), json!({"permissions": ["own"]}));
    for (name, permissions) in
        [(json!("rich"), json!(["a", "own"])), (json!("poor"), json!(["own"])), (json!(null), json!(["own"]))]
    {
        world.admin.ok("keys.updateKey", json!({"keyId": key.id, "externalId": name}));
        assert_eq!(world.verify(&key.plaintext)["permissions"], permissions);
    }
}

#[test]
fn a_reroll_keeps_the_owner() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"externalId": "customer"}));
    let new = world.admin.ok("keys.rerollKey", json!({"keyId": key.id, "expiration": 60_000}));
    let (old, new) = (owner(&world, &key.id), owner(&world, new["keyId"].as_str().unwrap()));
    assert_eq!(old, new);
    assert_eq!(new["externalId"], "customer");
}

#[test]
fn a_list_is_narrowed_to_one_owner_exactly() {
    let world = World::new();
    let api = world.api();
    let keys: Vec<_> = ["one", "two", "One", "one"].map(|name| world.key(&api, json!({"externalId": name}))).into();
    world.key(&api, json!({}));
    world.key(&world.api(), json!({"externalId": "one"}));
    let found = |name: &str| {
        let data = world.admin.ok("apis.listKeys", json!({"apiId": api, "externalId": name}));
        data.as_array().unwrap().iter().map(|row| row["keyId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("one"), [keys[0].id.clone(), keys[3].id.clone()]);
    assert_eq!(found("One"), [keys[2].id.clone()]);
    for name in ["never", "on", "%", "one "] {
        assert_eq!(found(name), [""; 0]);
    }
    let id = owner(&world, &keys[0].id)["id"].clone();
    assert_eq!(found(id.as_str().unwrap()), [""; 0], "the filter takes external ids only");
    let page = world.admin.call("apis.listKeys", json!({"apiId": api, "externalId": "one", "limit": 1}));
    assert_eq!(page.body["pagination"]["cursor"], keys[3].id.as_str());
}

#[test]
fn a_disabled_owner_comes_after_expiry_and_before_permissions() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"externalId": "customer"}));
    let verdict = || {
        let body = json!({"key": key.plaintext, "permissions": "never"});
        world.admin.ok("keys.verifyKey", body)["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict(), "INSUFFICIENT_PERMISSIONS");
    world.admin.ok("identities.updateIdentity", json!({"identity": "customer", "enabled": false}));
    assert_eq!(verdict(), "FORBIDDEN");
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "expires": 1}));
    assert_eq!(verdict(), "EXPIRED");
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "enabled": false}));
    assert_eq!(verdict(), "DISABLED");
    // The key's own settings are shown as they are.
    assert_eq!(owner(&world, &key.id)["externalId"], "customer");
}
