//! `rootKeys.updateKey`.

use super::manager;
use super::minted;
use super::newest_audit;
use super::refused;
use crate::harness::World;
use chrono::Duration;
use serde_json::json;

const LACKING: &str = "unkey/authorization/insufficient_permissions";
const UPDATE: &str = "rootKeys.updateKey";

#[test]
fn a_change_counts_from_the_next_request_on() {
    let world = World::new();
    let (id, client) = minted(&world, &world.admin, json!({"permissions": ["api.*.read_api"], "name": "n"}));
    client.ok("apis.listApis", json!({}));
    world.admin.ok(UPDATE, json!({"keyId": id, "permissions": ["api.*.create_api"]}));
    client.call("apis.listApis", json!({})).refused(403, LACKING);
    client.ok("apis.createApi", json!({"name": "mine"}));
    world.admin.ok(UPDATE, json!({"keyId": id, "enabled": false}));
    client.call("rootKeys.whoami", json!({})).refused(403, "unkey/authorization/key_disabled");
    world.admin.ok(UPDATE, json!({"keyId": id, "enabled": true}));
    assert_eq!(client.ok("rootKeys.whoami", json!({}))["name"], "n");
    world.admin.ok(UPDATE, json!({"keyId": id, "name": null}));
    assert_eq!(client.ok("rootKeys.whoami", json!({}))["name"], json!(null));
    world.admin.ok(UPDATE, json!({"keyId": id}));
    assert_eq!(client.ok("rootKeys.whoami", json!({}))["permissions"], json!(["api.*.create_api"]));
}

#[test]
fn the_audit_log_says_what_was_added_and_removed() {
    let world = World::new();
    let (id, _) = minted(&world, &world.admin, json!({"permissions": ["api.*.read_api", "api.*.read_key"]}));
    let wanted = json!(["api.*.read_key", "api.*.create_key"]);
    world.admin.ok(UPDATE, json!({"keyId": id, "permissions": wanted, "enabled": false}));
    let expected = format!("updated root key {id}; disabled; added api.*.create_key; removed api.*.read_api");
    assert_eq!(newest_audit(&world)["display"], expected);
    assert_eq!(world.audit(), ["rootKey.create", "rootKey.update"]);
}

#[test]
fn nobody_raises_itself_or_another_beyond_its_own_rights() {
    let world = World::new();
    let client = manager(&world, &["api.api_1.read_key"]);
    let own = client.ok("rootKeys.whoami", json!({}))["keyId"].clone();
    let (strong, _) = minted(&world, &world.admin, json!({"permissions": ["api.*.delete_key"]}));
    for id in [own, json!(strong)] {
        let wanted = json!(["api.*.delete_key", "api.*.read_key", "api.api_1.read_key"]);
        let error = refused(&world, &client, UPDATE, json!({"keyId": id, "permissions": wanted}), 403, LACKING);
        let mut missing = vec!["api.*.delete_key", "api.*.read_key"];
        if id == json!(strong) {
            // What it has already is not given to it.
            missing.remove(0);
        }
        assert_eq!(error["missing"], json!(missing));
    }
    // What the caller holds, it may add; and it may take away anything.
    client.ok(UPDATE, json!({"keyId": strong, "permissions": ["api.*.delete_key", "api.api_1.read_key"]}));
    client.ok(UPDATE, json!({"keyId": strong, "permissions": ["api.api_1.read_key"]}));
    refused(&world, &client, UPDATE, json!({"keyId": strong, "permissions": ["api.*.delete_key"]}), 403, LACKING);
}

#[test]
fn who_enables_a_root_key_gives_it_everything_back() {
    let world = World::new();
    let client = manager(&world, &[]);
    let permissions = json!(["api.api_secret.delete_key", "root_key.*.read_root_key"]);
    let (strong, _) = minted(&world, &world.admin, json!({"permissions": permissions}));
    client.ok(UPDATE, json!({"keyId": strong, "enabled": false}));
    let error = refused(&world, &client, UPDATE, json!({"keyId": strong, "enabled": true}), 403, LACKING);
    assert_eq!(error["missing"], json!(["api.api_secret.delete_key"]));
    // Who may not read it learns no id from the refusal.
    let blind = world.root_key(&["root_key.*.update_root_key"]);
    let error = refused(&world, &blind, UPDATE, json!({"keyId": strong, "enabled": true}), 403, LACKING);
    assert_eq!(error["missing"], json!(["api.*.delete_key", "root_key.*.read_root_key"]));
    assert!(!error.to_string().contains("api_secret"));
    client.ok(UPDATE, json!({"keyId": strong, "enabled": true, "permissions": []}));
}

#[test]
fn a_mortal_root_key_gives_nothing_to_an_immortal_one() {
    let world = World::new();
    let ends = world.server.clock.now() + Duration::hours(1);
    let (_, mortal) = world.root_key_until(&super::MANAGER, Some(ends));
    let (id, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let give = json!({"keyId": id, "permissions": ["root_key.*.read_root_key"]});
    let forbidden = "unkey/authorization/forbidden";
    let error = refused(&world, &mortal, UPDATE, give.clone(), 403, forbidden);
    assert!(error["detail"].as_str().unwrap().contains("never"), "{error}");
    mortal.ok(UPDATE, json!({"keyId": id, "name": "renamed", "enabled": false}));
    refused(&world, &mortal, UPDATE, json!({"keyId": id, "enabled": true}), 403, forbidden);
    let (id, _) = minted(&world, &mortal, json!({"permissions": [], "expires": ends.timestamp_millis()}));
    mortal.ok(UPDATE, json!({"keyId": id, "permissions": ["root_key.*.read_root_key"]}));
    world.admin.ok(UPDATE, give);
}

#[test]
fn refusals_come_in_order_and_the_bounds_hold() {
    let world = World::new();
    let nonsense = json!({"keyId": "root_never", "permissions": ["api.*.fly"]});
    refused(&world, &world.root_key(&["api.*.read_key"]), UPDATE, nonsense.clone(), 403, LACKING);
    let answer = world.admin.call(UPDATE, nonsense);
    assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.permissions[0]"]);
    let (id, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let beyond = json!({"keyId": id, "permissions": ["api.*.read_key"]});
    let elsewhere = world.root_key(&["root_key.root_other.update_root_key"]);
    refused(&world, &elsewhere, UPDATE, beyond.clone(), 404, "unkey/data/key_not_found");
    let reader = world.root_key(&["root_key.root_other.update_root_key", "root_key.*.read_root_key"]);
    let error = refused(&world, &reader, UPDATE, beyond.clone(), 403, LACKING);
    assert_eq!(error["missing"], json!([format!("root_key.{id}.update_root_key")]));
    let error = refused(&world, &manager(&world, &[]), UPDATE, beyond, 403, LACKING);
    assert_eq!(error["missing"], json!(["api.*.read_key"]));
    for (field, good, bad) in [
        ("name", json!("x".repeat(255)), json!("x".repeat(256))),
        ("name", json!("x"), json!("")),
        ("enabled", json!(true), json!(null)),
        ("permissions", json!([]), json!(null)),
    ] {
        let mut body = json!({"keyId": id});
        body[field] = good;
        world.admin.ok(UPDATE, body.clone());
        body[field] = bad;
        let answer = world.admin.call(UPDATE, body);
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), [format!("body.{field}")]);
    }
    let expires = json!({"keyId": id, "expires": 0});
    refused(&world, &world.admin, UPDATE, expires, 400, "unkey/application/invalid_input");
}
