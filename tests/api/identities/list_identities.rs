//! `identities.listIdentities`.

use crate::harness::World;
use crate::identities::identity;
use serde_json::Value;
use serde_json::json;

const LIST: &str = "identities.listIdentities";

fn names(data: &Value) -> Vec<&str> {
    data.as_array().unwrap().iter().map(|row| row["externalId"].as_str().unwrap()).collect()
}

#[test]
fn pages_are_ordered_by_id_and_meet_without_gap_or_overlap() {
    let world = World::new();
    let ids: Vec<_> = (0..5).map(|i| identity(&world, &format!("c{i}"))).collect();
    let mut seen = Vec::new();
    let mut body = json!({"limit": 2});
    loop {
        let answer = world.admin.call(LIST, body.clone());
        seen.extend(answer.data().as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let pagination = &answer.body["pagination"];
        assert_eq!(pagination["hasMore"] == true, pagination["cursor"].is_string());
        let Some(cursor) = pagination["cursor"].as_str() else { break };
        body["cursor"] = json!(cursor);
    }
    assert_eq!(seen, ids);
    let exactly = world.admin.call(LIST, json!({"limit": 5}));
    assert_eq!(exactly.body["pagination"], json!({"hasMore": false}));
    assert_eq!(world.admin.ok(LIST, json!({"cursor": "zzz"})), json!([]));
    assert_eq!(names(&world.admin.ok(LIST, json!({"cursor": ""}))).len(), 5);
}

#[test]
fn disabled_ones_are_listed_and_deleted_ones_are_not() {
    let world = World::new();
    for name in ["on", "off", "gone"] {
        identity(&world, name);
    }
    world.admin.ok("identities.updateIdentity", json!({"identity": "off", "enabled": false}));
    world.admin.call("identities.deleteIdentity", json!({"identity": "gone"}));
    let listed = world.admin.ok(LIST, json!({}));
    assert_eq!(names(&listed), ["on", "off"]);
    assert_eq!(listed[1]["enabled"], false);
}

#[test]
fn search_finds_ids_and_external_ids_in_any_letter_case() {
    let world = World::new();
    let id = identity(&world, "Customer_1");
    identity(&world, "customer.2");
    identity(&world, "other");
    let found = |search: &str| {
        let data = world.admin.ok(LIST, json!({"search": search}));
        names(&data).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("CUSTOMER"), ["Customer_1", "customer.2"]);
    assert_eq!(found("  stomer  "), ["Customer_1", "customer.2"]);
    assert_eq!(found("r_1"), ["Customer_1"]);
    assert_eq!(found(&id.to_ascii_lowercase()), ["Customer_1"]);
    assert_eq!(found("  ").len(), 3);
    for literal in ["%", "r_2", "\\", "c%r"] {
        assert_eq!(found(literal), [""; 0], "{literal}");
    }
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    for body in [
        json!({"limit": 1}),
        json!({"limit": 100}),
        json!({"search": "x".repeat(256)}),
        json!({"cursor": "x".repeat(1024)}),
    ] {
        assert_eq!(world.admin.ok(LIST, body), json!([]));
    }
    for (body, location) in [
        (json!({"limit": 0}), "body.limit"),
        (json!({"limit": 101}), "body.limit"),
        (json!({"limit": null}), "body.limit"),
        (json!({"search": "x".repeat(257)}), "body.search"),
        (json!({"cursor": "x".repeat(1025)}), "body.cursor"),
        (json!({"externalId": "x"}), "body.externalId"),
    ] {
        let answer = world.admin.call(LIST, body);
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [location]);
    }
}

#[test]
fn only_a_grant_for_all_lists_whether_or_not_there_are_any() {
    let world = World::new();
    let id = World::new();
    let id = identity(&id, "elsewhere");
    let client = world.root_key(&[format!("identity.{id}.read_identity")]);
    client.call(LIST, json!({})).refused(403, "unkey/authorization/insufficient_permissions");
    let own = identity(&world, "own");
    let client = world.root_key(&[format!("identity.{own}.read_identity")]);
    let answer = client.call(LIST, json!({}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["required"], json!([["identity.*.read_identity"]]));
}
