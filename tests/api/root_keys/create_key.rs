//! `rootKeys.createKey`.

use super::manager;
use super::minted;
use super::newest_audit;
use super::refused;
use crate::harness::World;
use crate::harness::server::Options;
use chrono::Duration;
use serde_json::json;

const LACKING: &str = "unkey/authorization/insufficient_permissions";
const INVALID: &str = "unkey/application/invalid_input";

#[test]
fn a_root_key_that_may_not_mint_is_told_what_it_lacks_and_given_that_mints() {
    let world = World::new();
    let held = ["api.*.read_key", "api.*.read_api"];
    let body = json!({"permissions": ["api.*.read_key"], "name": "Reader"});
    let error = refused(&world, &world.root_key(&held), "rootKeys.createKey", body.clone(), 403, LACKING);
    assert_eq!(error["title"], "Forbidden");
    assert_eq!(error["missing"], json!(["root_key.*.create_root_key"]));

    let missing = error["missing"].as_array().unwrap().iter().map(|tuple| tuple.as_str().unwrap());
    let given: Vec<_> = held.into_iter().chain(missing).collect();
    let (_, reader) = minted(&world, &world.root_key(&given), body);
    assert_eq!(reader.ok("rootKeys.whoami", json!({}))["permissions"], json!(["api.*.read_key"]));
}

#[test]
fn a_limited_root_key_cannot_mint_an_unlimited_one() {
    let world = World::new();
    let admin = world.admin.ok("rootKeys.whoami", json!({}))["permissions"].clone();
    let limited = manager(&world, &["api.api_1.read_key"]);
    let body = json!({"permissions": admin});
    let error = refused(&world, &limited, "rootKeys.createKey", body, 403, LACKING);
    let missing = error["missing"].as_array().unwrap();
    assert_eq!(missing.len(), admin.as_array().unwrap().len() - 4);
    assert!(missing.contains(&json!("api.*.read_key")) && !missing.contains(&json!("root_key.*.read_root_key")));
    for tuple in missing {
        assert!(error["detail"].as_str().unwrap().contains(tuple.as_str().unwrap()));
    }
}

#[test]
fn only_what_is_held_can_be_given_and_missing_names_exactly_the_rest() {
    let world = World::new();
    let client = manager(&world, &["api.*.verify_key", "api.api_1.read_key"]);
    for (given, exceeding) in [
        (json!(["api.*.verify_key", "api.api_9.verify_key", "api.api_1.read_key"]), json!([])),
        (json!(["api.*.read_key"]), json!(["api.*.read_key"])),
        (json!(["api.api_2.read_key", "api.api_1.read_key"]), json!(["api.api_2.read_key"])),
        (
            json!(["api.*.verify_key", "api.*.update_key", "identity.*.read_identity"]),
            json!(["api.*.update_key", "identity.*.read_identity"]),
        ),
    ] {
        let body = json!({"permissions": given});
        if exceeding == json!([]) {
            client.ok("rootKeys.createKey", body);
        } else {
            assert_eq!(refused(&world, &client, "rootKeys.createKey", body, 403, LACKING)["missing"], exceeding);
        }
    }
    // A chain of mintings stays below the first ceiling.
    let chain = json!({"permissions": ["root_key.*.create_root_key", "api.api_1.read_key"]});
    let (_, child) = minted(&world, &client, chain);
    let (_, grandchild) = minted(&world, &child, json!({"permissions": ["api.api_1.read_key"]}));
    assert_eq!(grandchild.ok("rootKeys.whoami", json!({}))["permissions"], json!(["api.api_1.read_key"]));
    refused(&world, &child, "rootKeys.createKey", json!({"permissions": ["api.*.verify_key"]}), 403, LACKING);
}

#[test]
fn an_id_in_the_grant_does_not_let_anybody_mint() {
    let world = World::new();
    let client = world.root_key(&["root_key.root_1.create_root_key"]);
    let error = refused(&world, &client, "rootKeys.createKey", json!({"permissions": []}), 403, LACKING);
    assert_eq!(error["missing"], json!(["root_key.*.create_root_key"]));
}

#[test]
fn a_root_key_makes_none_that_outlives_it() {
    let server = Options::default().start();
    let world = World::on(&server);
    let ends = server.clock.now() + Duration::hours(1);
    let (_, mortal) = world.root_key_until(&super::MANAGER, Some(ends));
    let ms = ends.timestamp_millis();
    for body in [
        json!({"permissions": []}),
        json!({"permissions": [], "expires": null}),
        json!({"permissions": [], "expires": ms + 1}),
    ] {
        let error = refused(&world, &mortal, "rootKeys.createKey", body, 403, "unkey/authorization/forbidden");
        let at = ends.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        assert!(error["detail"].as_str().unwrap().contains(&at), "{error}");
    }
    let (_, child) = minted(&world, &mortal, json!({"permissions": [], "expires": ms}));
    child.ok("rootKeys.whoami", json!({}));
    // What exceeds is told before the life.
    let both = json!({"permissions": ["api.*.read_key"]});
    refused(&world, &mortal, "rootKeys.createKey", both, 403, LACKING);

    server.clock.advance(Duration::hours(1));
    child.call("rootKeys.whoami", json!({})).refused(403, "unkey/authorization/forbidden");
    mortal.call("rootKeys.whoami", json!({})).refused(403, "unkey/authorization/forbidden");
}

#[test]
fn a_past_end_is_accepted_and_the_root_key_is_expired() {
    let world = World::new();
    let (_, dead) = minted(&world, &world.admin, json!({"permissions": [], "expires": 0}));
    dead.call("rootKeys.whoami", json!({})).refused(403, "unkey/authorization/forbidden");
}

#[test]
fn the_bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    for (field, good, bad) in [
        ("name", json!("x"), json!("")),
        ("name", json!("ü".repeat(255)), json!("ü".repeat(256))),
        ("name", json!("any thing"), json!(null)),
        ("expires", json!(0), json!(-1)),
        ("expires", json!(4_102_444_800_000_i64), json!(4_102_444_800_001_i64)),
        ("expires", json!(null), json!("never")),
        ("permissions", json!([]), json!(null)),
        ("permissions", many(1000), many(1001)),
        ("permissions", long(255), long(270)),
    ] {
        let mut body = json!({"permissions": ["api.*.read_key"]});
        body[field] = good;
        world.admin.ok("rootKeys.createKey", body.clone());
        body[field] = bad;
        let before = world.everything();
        let answer = world.admin.call("rootKeys.createKey", body);
        answer.refused(400, INVALID);
        assert!(answer.locations()[0].starts_with(&format!("body.{field}")), "{}", answer.text);
        assert_eq!(before, world.everything());
    }
    for body in [json!({}), json!({"permissions": [], "enabled": false}), json!({"permissions": "api.*.read_key"})] {
        refused(&world, &world.admin, "rootKeys.createKey", body, 400, INVALID);
    }
}

fn many(n: usize) -> serde_json::Value {
    (0..n).map(|i| json!(format!("api.api_{i}.read_key"))).collect()
}

fn long(id: usize) -> serde_json::Value {
    json!([format!("api.{}.read_key", "x".repeat(id))])
}

#[test]
fn each_permission_that_means_nothing_is_named_at_its_place() {
    let world = World::new();
    let given = ["api.*.read_key", "api.*.fly", "boat.*.read_api", "api.*.*", "api.*.read_key"];
    let answer = world.admin.call("rootKeys.createKey", json!({"permissions": given}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations(), ["body.permissions[1]", "body.permissions[2]", "body.permissions[3]"]);
    for (error, tuple) in answer.body["error"]["errors"].as_array().unwrap().iter().zip(&given[1..]) {
        assert!(error["message"].as_str().unwrap().contains(tuple), "{error}");
        assert!(answer.detail().contains(tuple));
    }
    // Who may not mint does not learn that.
    refused(
        &world,
        &world.root_key(&["api.*.read_key"]),
        "rootKeys.createKey",
        json!({"permissions": given}),
        403,
        LACKING,
    );
}

#[test]
fn the_secret_is_shown_once_and_only_its_hash_is_stored() {
    let world = World::new();
    let data = world
        .admin
        .ok("rootKeys.createKey", json!({"permissions": ["api.*.read_key", "api.*.read_api", "api.*.read_key"]}));
    let (id, key) = (data["keyId"].as_str().unwrap(), data["key"].as_str().unwrap());
    assert!(key.starts_with("keyward_root_"));
    let random = key.strip_prefix("keyward_root_").unwrap();
    assert!(!world.everything().to_string().contains(random));
    let shown = world.admin.ok("rootKeys.getKey", json!({"keyId": id}));
    assert_eq!(shown["start"], key.get(..17).unwrap());
    assert_eq!(shown["end"], key.get(key.len() - 4..).unwrap());
    assert_eq!(shown["permissions"], json!(["api.*.read_api", "api.*.read_key"]));
    assert_eq!(world.audit(), ["rootKey.create"]);
    let row = newest_audit(&world);
    assert_eq!(row["display"], format!("created root key {id}; added api.*.read_api, api.*.read_key"));
    assert_eq!(row["resources"], json!([{"type": "rootKey", "id": id}]));
}
