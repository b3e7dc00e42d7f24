//! `rootKeys.rerollKey`.

use super::manager;
use super::minted;
use super::newest_audit;
use super::refused;
use super::taken;
use crate::harness::World;
use crate::harness::server::Options;
use chrono::Duration;
use serde_json::json;

const LACKING: &str = "unkey/authorization/insufficient_permissions";
const EXPIRED: &str = "unkey/authorization/forbidden";
const REROLL: &str = "rootKeys.rerollKey";

#[test]
fn the_new_root_key_is_like_the_old_one_and_the_old_one_ends_at_once() {
    let world = World::new();
    let ends = 4_000_000_000_000_i64;
    let body = json!({"permissions": ["api.*.read_api"], "name": "n", "expires": ends});
    let (old, old_client) = minted(&world, &world.admin, body);
    let (new, client) = taken(&world, &world.admin.ok(REROLL, json!({"keyId": old, "expiration": 0})));
    assert_ne!(old, new);
    old_client.call("rootKeys.whoami", json!({})).refused(403, EXPIRED);
    let me = client.ok("rootKeys.whoami", json!({}));
    assert_eq!((&me["name"], &me["expires"]), (&json!("n"), &json!(ends)));
    assert_eq!(me["permissions"], json!(["api.*.read_api"]));
    assert_eq!(world.audit(), ["rootKey.create", "rootKey.create", "rootKey.reroll"]);
    let row = newest_audit(&world);
    assert_eq!(row["display"], format!("rerolled root key {old} to {new}; added api.*.read_api"));
    // It is expired now, and stays so.
    refused(
        &world,
        &world.admin,
        REROLL,
        json!({"keyId": old, "expiration": null}),
        412,
        "unkey/application/precondition_failed",
    );
}

#[test]
fn grace_ends_to_the_millisecond_and_never_prolongs() {
    let server = Options::default().start();
    let world = World::on(&server);
    let now = server.clock.now();
    let soon = (now + Duration::hours(1)).timestamp_millis();
    let (graced, graced_client) = minted(&world, &world.admin, json!({"permissions": []}));
    let (short, _) = minted(&world, &world.admin, json!({"permissions": [], "expires": soon}));
    let (kept, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let before = server.clock.now().timestamp_millis();
    world.admin.ok(REROLL, json!({"keyId": graced, "expiration": 60_000}));
    let after = server.clock.now().timestamp_millis();
    world.admin.ok(REROLL, json!({"keyId": short, "expiration": 86_400_000}));
    world.admin.ok(REROLL, json!({"keyId": kept, "expiration": null}));
    let ends = |id: &str| world.admin.ok("rootKeys.getKey", json!({"keyId": id}))["expires"].clone();
    assert!((before + 60_000..=after + 60_000).contains(&ends(&graced).as_i64().unwrap()));
    assert_eq!(ends(&short), soon);
    assert_eq!(ends(&kept), json!(null));
    graced_client.ok("rootKeys.whoami", json!({}));
    server.clock.advance(Duration::minutes(1));
    graced_client.call("rootKeys.whoami", json!({})).refused(403, EXPIRED);
}

#[test]
fn a_disabled_root_key_is_replaced_by_a_disabled_one() {
    let world = World::new();
    let (old, _) = minted(&world, &world.admin, json!({"permissions": []}));
    world.admin.ok("rootKeys.updateKey", json!({"keyId": old, "enabled": false}));
    let (_, client) = taken(&world, &world.admin.ok(REROLL, json!({"keyId": old, "expiration": 0})));
    client.call("rootKeys.whoami", json!({})).refused(403, "unkey/authorization/key_disabled");
}

#[test]
fn nobody_rerolls_its_way_to_more_rights_or_a_longer_life() {
    let world = World::new();
    let (strong, _) = minted(&world, &world.admin, json!({"permissions": ["api.api_7.delete_key", "api.*.read_key"]}));
    let weak = manager(&world, &["api.*.read_key"]);
    let body = json!({"keyId": strong, "expiration": 0});
    let error = refused(&world, &weak, REROLL, body.clone(), 403, LACKING);
    assert_eq!(error["missing"], json!(["api.api_7.delete_key"]));
    let blind = world.root_key(&["root_key.*.create_root_key", "api.*.read_key"]);
    let error = refused(&world, &blind, REROLL, body, 403, LACKING);
    assert_eq!(error["missing"], json!(["api.*.delete_key"]));
    assert!(!error.to_string().contains("api_7"));

    let ends = world.server.clock.now() + Duration::hours(1);
    let (own, mortal) = world.root_key_until(&super::MANAGER, Some(ends));
    let (immortal, _) = minted(&world, &world.admin, json!({"permissions": []}));
    refused(&world, &mortal, REROLL, json!({"keyId": immortal, "expiration": 0}), 403, EXPIRED);
    // Its own successor lives as long as itself.
    let (_, heir) = taken(&world, &mortal.ok(REROLL, json!({"keyId": own.to_string(), "expiration": 0})));
    assert_eq!(heir.ok("rootKeys.whoami", json!({}))["expires"], ends.timestamp_millis());
    mortal.call("rootKeys.whoami", json!({})).refused(403, EXPIRED);
}

#[test]
fn a_grant_for_one_root_key_rerolls_that_one() {
    let world = World::new();
    let (id, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let (other, _) = minted(&world, &world.admin, json!({"permissions": []}));
    let client = world.root_key(&[format!("root_key.{id}.create_root_key")]);
    client.ok(REROLL, json!({"keyId": id, "expiration": 0}));
    refused(&world, &client, REROLL, json!({"keyId": other, "expiration": 0}), 404, "unkey/data/key_not_found");
}

#[test]
fn the_bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let (id, _) = minted(&world, &world.admin, json!({"permissions": []}));
    world.admin.ok(REROLL, json!({"keyId": id, "expiration": 4_102_444_800_000_i64}));
    for expiration in [json!(-1), json!(4_102_444_800_001_i64), json!("0")] {
        let answer = world.admin.call(REROLL, json!({"keyId": id, "expiration": expiration}));
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.expiration"]);
    }
    refused(&world, &world.admin, REROLL, json!({"keyId": id}), 400, "unkey/application/invalid_input");
}
