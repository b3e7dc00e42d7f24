//! `identities.createIdentity`.

use crate::harness::World;
use crate::identities::get;
use crate::identities::identity;
use crate::identities::long;
use crate::identities::wide;
use serde_json::json;

const CREATE: &str = "identities.createIdentity";

#[test]
fn an_identity_exists_under_both_names_and_in_the_audit_log() {
    let world = World::new();
    let answer = world.admin.call(CREATE, json!({"externalId": "customer.42"}));
    let id = answer.data()["identityId"].as_str().unwrap();
    assert_eq!(answer.data(), &json!({"identityId": id}));
    assert_eq!(get(&world, "customer.42"), json!({"id": id, "externalId": "customer.42", "enabled": true}));
    let log = world.rows("SELECT * FROM audit_log WHERE workspace_id = $ws AND event = 'identity.create'");
    assert_eq!(log.len(), 1);
    assert_eq!(log[0]["correlation_id"], answer.body["meta"]["requestId"]);
    assert_eq!(log[0]["resources"], json!([{"type": "identity", "id": id, "name": "customer.42"}]));
    assert_eq!(world.audit(), ["identity.create"]);
}

#[test]
fn external_ids_have_1_to_255_characters_of_a_narrow_alphabet() {
    let world = World::new();
    for external_id in ["a", "_.-", "aZ09", "id_x", &"x".repeat(255)] {
        identity(&world, external_id);
    }
    for external_id in ["", "a b", "a@b", "a:b", "a/b", "ä", "a\n", "a\0", &"x".repeat(256)] {
        let answer = world.admin.call(CREATE, json!({"externalId": external_id}));
        answer.refused(400, "unkey/application/invalid_input");
        assert!(answer.locations().iter().all(|found| *found == "body.externalId"), "{external_id:?}");
    }
}

#[test]
fn metadata_has_at_most_100_properties_and_1_mebibyte() {
    let world = World::new();
    world.admin.ok(CREATE, json!({"externalId": "wide", "meta": wide(100)}));
    world.admin.ok(CREATE, json!({"externalId": "long", "meta": long(1 << 20)}));
    assert_eq!(get(&world, "wide")["meta"], wide(100));
    assert_eq!(get(&world, "long")["meta"], long(1 << 20));
    let before = world.everything();
    for meta in [wide(101), long((1 << 20) + 1)] {
        let answer = world.admin.call(CREATE, json!({"externalId": "more", "meta": meta}));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), ["body.meta"]);
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn metadata_is_kept_exactly() {
    let world = World::new();
    let meta = r#"{"z":1.0,"a":9007199254740993,"n":{"x":null,"y":[1e30,-0]},"nul":"\u0000","é":"🔑"}"#;
    let body = format!(r#"{{"externalId":"exact","meta":{meta}}}"#);
    assert_eq!(world.admin.post("/v2/identities.createIdentity", "application/json", body).status, 200);
    let shown = world.admin.call("identities.getIdentity", json!({"identity": "exact"}));
    assert!(shown.text.contains(meta), "{}", shown.text);
}

#[test]
fn empty_metadata_is_not_shown() {
    let world = World::new();
    world.admin.ok(CREATE, json!({"externalId": "empty", "meta": {}}));
    assert!(get(&world, "empty").get("meta").is_none());
}

#[test]
fn null_and_other_types_are_refused() {
    let world = World::new();
    let before = world.everything();
    for (body, location) in [
        (json!({}), "body.externalId"),
        (json!({"externalId": null}), "body.externalId"),
        (json!({"externalId": 1}), "body.externalId"),
        (json!({"externalId": "a", "meta": null}), "body.meta"),
        (json!({"externalId": "a", "meta": []}), "body.meta"),
        (json!({"externalId": "a", "enabled": null}), "body.enabled"),
        (json!({"externalId": "a", "enabled": "yes"}), "body.enabled"),
    ] {
        let answer = world.admin.call(CREATE, body);
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [location]);
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn other_fields_are_ignored_in_any_letter_case() {
    let world = World::new();
    let body = json!({"externalId": "right", "EXTERNALID": "not / at all", "Meta": {"a": 1}, "colour": null});
    world.admin.ok(CREATE, body);
    assert!(get(&world, "right").get("meta").is_none());
}

#[test]
fn a_taken_external_id_is_a_conflict_that_changes_nothing() {
    let world = World::new();
    world.admin.ok(CREATE, json!({"externalId": "taken", "meta": {"a": 1}}));
    let before = world.everything();
    let answer = world.admin.call(CREATE, json!({"externalId": "taken", "meta": {"b": 2}, "enabled": false}));
    answer.refused(409, "unkey/data/identity_already_exists");
    assert_eq!(answer.body["error"]["title"], "Conflicting Resource");
    assert!(answer.detail().contains("'taken'"), "{}", answer.detail());
    assert_eq!(world.everything(), before);
}

#[test]
fn an_external_id_is_taken_only_in_its_letter_case_and_workspace() {
    let world = World::new();
    let ids = [identity(&world, "name"), identity(&world, "Name"), identity(&World::new(), "name")];
    assert!(ids[0] != ids[1] && ids[0] != ids[2]);
}

#[test]
fn a_key_takes_an_external_id_too() {
    let world = World::new();
    world.key(&world.api(), json!({"externalId": "owner"}));
    let answer = world.admin.call(CREATE, json!({"externalId": "owner"}));
    answer.refused(409, "unkey/data/identity_already_exists");
}

#[test]
fn keys_of_an_identity_made_disabled_are_forbidden() {
    let world = World::new();
    world.admin.ok(CREATE, json!({"externalId": "off", "enabled": false}));
    assert_eq!(get(&world, "off")["enabled"], false);
    let key = world.key(&world.api(), json!({"externalId": "off"}));
    assert_eq!(world.verdict(&key.plaintext), "FORBIDDEN");
}

#[test]
fn refusals_come_in_order() {
    let world = World::new();
    identity(&world, "taken");
    let nobody = world.root_key(&["identity.id_1.create_identity", "identity.*.update_identity"]);
    let too_long = long((1 << 20) + 1);
    nobody.call(CREATE, json!({"externalId": "a b"})).refused(400, "unkey/application/invalid_input");
    let answer = nobody.call(CREATE, json!({"externalId": "taken", "meta": too_long}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["required"], json!([["identity.*.create_identity"]]));
    let answer = world.admin.call(CREATE, json!({"externalId": "taken", "meta": too_long}));
    answer.refused(400, "unkey/application/invalid_input");
}

#[test]
fn of_racing_calls_one_creates_and_the_others_conflict() {
    let world = World::new();
    let mut statuses: Vec<_> = std::thread::scope(|scope| {
        let call = || world.admin.call(CREATE, json!({"externalId": "raced"})).status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(world.audit(), ["identity.create"]);
}
