//! `identities.getIdentity`.

use crate::harness::World;
use crate::identities::get;
use crate::identities::identity;
use crate::identities::role;
use serde_json::json;

const GET: &str = "identities.getIdentity";

#[test]
fn everything_that_an_identity_has_is_shown() {
    let world = World::new();
    let id = identity(&world, "full");
    role(&world, "writer", &["docs.write"]);
    role(&world, "Auditor", &[]);
    world.admin.ok("identities.updateIdentity", json!({"identity": id, "meta": {"plan": "pro"}}));
    world.admin.ok("identities.setPermissions", json!({"identity": id, "permissions": ["b", "a", "B"]}));
    world.admin.ok("identities.setRoles", json!({"identity": id, "roles": ["writer", "Auditor"]}));
    let full = json!({
        "id": id, "externalId": "full", "enabled": true, "meta": {"plan": "pro"},
        "permissions": ["B", "a", "b"], "roles": ["Auditor", "writer"],
    });
    assert_eq!(get(&world, &id), full);
    assert_eq!(get(&world, "full"), full);
    assert_eq!(world.admin.ok("identities.listIdentities", json!({})), json!([full]));
}

#[test]
fn an_id_comes_before_an_equal_external_id() {
    let world = World::new();
    let first = identity(&world, "first");
    let second = identity(&world, &first);
    assert_eq!(get(&world, &first)["externalId"], "first");
    world.admin.ok("identities.updateIdentity", json!({"identity": first, "meta": {"which": 1}}));
    assert_eq!(get(&world, &second).get("meta"), None);
    world.admin.call("identities.deleteIdentity", json!({"identity": first}));
    assert_eq!(get(&world, &first)["id"], second.as_str());
}

#[test]
fn what_is_unknown_or_deleted_is_not_found() {
    let world = World::new();
    let id = identity(&world, "gone");
    world.admin.call("identities.deleteIdentity", json!({"identity": "gone"}));
    for name in ["gone", &id, "never", "Gone", "a b/@:ä🔑", "'; --", &"x".repeat(100_000)] {
        let answer = world.admin.call(GET, json!({"identity": name}));
        answer.refused(404, "unkey/data/identity_not_found");
    }
}

#[test]
fn an_identity_is_named_by_a_text_of_at_least_one_character() {
    let world = World::new();
    for (body, location) in [
        (json!({}), "body.identity"),
        (json!({"identity": ""}), "body.identity"),
        (json!({"identity": null}), "body.identity"),
        (json!({"identity": "a\0"}), "body.identity"),
        (json!({"identity": "a", "externalId": "a"}), "body.externalId"),
    ] {
        for operation in [GET, "identities.deleteIdentity", "identities.updateIdentity"] {
            let answer = world.admin.call(operation, body.clone());
            answer.refused(400, "unkey/application/invalid_input");
            assert_eq!(answer.locations(), [location], "{operation}");
        }
    }
}

#[test]
fn a_grant_for_one_identity_reaches_it_by_both_names_and_no_other() {
    let world = World::new();
    let (own, other) = (identity(&world, "own"), identity(&world, "other"));
    let client = world.root_key(&[format!("identity.{own}.read_identity")]);
    assert_eq!(client.ok(GET, json!({"identity": own}))["externalId"], "own");
    assert_eq!(client.ok(GET, json!({"identity": "own"}))["id"], own.as_str());

    let by_id = client.call(GET, json!({"identity": other}));
    by_id.refused(403, "unkey/authorization/insufficient_permissions");
    let concrete = format!("identity.{other}.read_identity");
    assert_eq!(by_id.body["error"]["required"], json!([["identity.*.read_identity"], [concrete]]));
    assert_eq!(by_id.body["error"]["missing"], json!([concrete]));

    let by_name = client.call(GET, json!({"identity": "other"}));
    by_name.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(by_name.body["error"]["required"], json!([["identity.*.read_identity"]]));
    assert!(!by_name.text.contains(&other), "{}", by_name.text);
    let unknown = client.call(GET, json!({"identity": "never"}));
    assert_eq!(unknown.without_request_id(), by_name.without_request_id());
    assert_eq!(unknown.headers["x-accepted-permissions"], by_name.headers["x-accepted-permissions"]);
}

#[test]
fn a_grant_for_a_deleted_identity_does_not_reach_one_that_took_its_id_as_a_name() {
    let world = World::new();
    let id = identity(&world, "first");
    let client = world.root_key(&[format!("identity.{id}.read_identity")]);
    world.admin.call("identities.deleteIdentity", json!({"identity": id}));
    let unknown = client.call(GET, json!({"identity": id}));
    unknown.refused(404, "unkey/data/identity_not_found");
    identity(&world, &id);
    let taken = client.call(GET, json!({"identity": id}));
    assert_eq!(taken.without_request_id(), unknown.without_request_id());
}
