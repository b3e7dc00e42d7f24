//! The last root key that can mint stays, unless the operator takes it.

use super::MANAGER;
use super::keyward;
use super::minted;
use super::refused;
use super::stdout;
use crate::harness::World;
use crate::harness::server::Options;
use chrono::Duration;
use serde_json::json;

const PRECONDITION: &str = "unkey/application/precondition_failed";

#[test]
fn the_last_minter_is_neither_deleted_nor_disabled_nor_stripped_by_api_and_the_operator_can() {
    let world = World::new();
    let id = world.admin.ok("rootKeys.whoami", json!({}))["keyId"].as_str().unwrap().to_owned();
    let client = world.root_key(&MANAGER[1..]);
    // None of these can take its place.
    let (disabled, _) = minted(&world, &world.admin, json!({"permissions": MANAGER}));
    client.ok("rootKeys.updateKey", json!({"keyId": disabled, "enabled": false}));
    minted(&world, &world.admin, json!({"permissions": MANAGER, "expires": 0}));
    minted(&world, &world.admin, json!({"permissions": [format!("root_key.{id}.create_root_key")]}));
    World::new();

    for (operation, body) in [
        ("rootKeys.deleteKey", json!({"keyId": id})),
        ("rootKeys.updateKey", json!({"keyId": id, "enabled": false})),
        ("rootKeys.updateKey", json!({"keyId": id, "permissions": ["root_key.*.read_root_key"]})),
        ("rootKeys.updateKey", json!({"keyId": id, "permissions": []})),
    ] {
        let error = refused(&world, &client, operation, body, 412, PRECONDITION);
        assert!(error["detail"].as_str().unwrap().contains("keyward root-key revoke"), "{error}");
    }
    // Anything else may be done to it.
    client
        .ok("rootKeys.updateKey", json!({"keyId": id, "name": "last", "permissions": ["root_key.*.create_root_key"]}));
    stdout(&keyward(&world, &["root-key", "revoke", &id]));
    world.admin.call("rootKeys.whoami", json!({})).refused(401, "unkey/authentication/key_not_found");
}

#[test]
fn with_another_minter_each_of_them_may_go() {
    let world = World::new();
    let id = world.admin.ok("rootKeys.whoami", json!({}))["keyId"].clone();
    let (other, client) = minted(&world, &world.admin, json!({"permissions": MANAGER}));
    client.ok("rootKeys.deleteKey", json!({"keyId": id}));
    refused(&world, &client, "rootKeys.deleteKey", json!({"keyId": other}), 412, PRECONDITION);
    // A reroll leaves a minter behind.
    let (new, heir) = super::taken(&world, &client.ok("rootKeys.rerollKey", json!({"keyId": other, "expiration": 0})));
    heir.ok("rootKeys.deleteKey", json!({"keyId": other}));
    refused(&world, &heir, "rootKeys.deleteKey", json!({"keyId": new}), 412, PRECONDITION);
}

#[test]
fn an_expired_minter_takes_nobodys_place() {
    let server = Options::default().start();
    let world = World::on(&server);
    let id = world.admin.ok("rootKeys.whoami", json!({}))["keyId"].clone();
    let ends = (server.clock.now() + Duration::hours(1)).timestamp_millis();
    minted(&world, &world.admin, json!({"permissions": MANAGER, "expires": ends}));
    let client = world.root_key(&MANAGER[1..]);
    server.clock.advance(Duration::hours(1));
    refused(&world, &client, "rootKeys.deleteKey", json!({"keyId": id}), 412, PRECONDITION);
}

#[test]
fn minters_that_delete_each_other_at_once_leave_one() {
    for _ in 0..5 {
        let world = World::new();
        let mut clients = vec![(
            world.admin.ok("rootKeys.whoami", json!({}))["keyId"].as_str().unwrap().to_owned(),
            world.admin.clone(),
        )];
        clients.extend((0..5).map(|_| minted(&world, &world.admin, json!({"permissions": MANAGER}))));
        std::thread::scope(|scope| {
            for (index, (_, client)) in clients.iter().enumerate() {
                let (victim, _) = &clients[(index + 1) % clients.len()];
                let body = if index % 2 == 0 {
                    ("rootKeys.deleteKey", json!({"keyId": victim}))
                } else {
                    ("rootKeys.updateKey", json!({"keyId": victim, "enabled": false}))
                };
                scope.spawn(move || client.call(body.0, body.1));
            }
        });
        let left = world.rows(
            "SELECT id FROM root_keys WHERE workspace_id = $ws AND deleted_at IS NULL AND enabled \
             AND 'root_key.*.create_root_key' = ANY (permissions)",
        );
        assert!(!left.is_empty(), "the workspace is locked out");
    }
}
