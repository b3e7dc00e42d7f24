//! `identities.updateIdentity`.

use crate::harness::World;
use crate::identities::get;
use crate::identities::identity;
use crate::identities::long;
use crate::identities::wide;
use serde_json::json;

const UPDATE: &str = "identities.updateIdentity";

#[test]
fn the_answer_is_what_is_stored() {
    let world = World::new();
    let id = identity(&world, "customer");
    world.admin.ok("identities.setPermissions", json!({"identity": id, "permissions": ["a"]}));
    let steps = [
        (json!({"meta": {"a": 1}}), json!({"a": 1}), true),
        (json!({}), json!({"a": 1}), true),
        (json!({"enabled": false}), json!({"a": 1}), false),
        (json!({"meta": {"b": [2]}}), json!({"b": [2]}), false),
        (json!({"meta": {}, "enabled": true}), json!(null), true),
    ];
    for (mut body, meta, enabled) in steps {
        body["identity"] = json!("customer");
        let answer = world.admin.ok(UPDATE, body);
        assert_eq!((&answer["meta"], &answer["enabled"]), (&meta, &json!(enabled)));
        assert_eq!(answer["permissions"], json!(["a"]));
        assert_eq!(answer, get(&world, &id));
    }
}

#[test]
fn a_change_of_nothing_is_audited_too() {
    let world = World::new();
    let id = identity(&world, "customer");
    let answer = world.admin.call(UPDATE, json!({"identity": id}));
    assert_eq!(world.audit(), ["identity.create", "identity.update"]);
    let log = world.rows("SELECT * FROM audit_log WHERE workspace_id = $ws AND event = 'identity.update'");
    assert_eq!(log[0]["correlation_id"], answer.body["meta"]["requestId"]);
    assert_eq!(log[0]["resources"], json!([{"type": "identity", "id": id, "name": "customer"}]));
    let moved = world.rows("SELECT 1 AS yes FROM identities WHERE workspace_id = $ws AND updated_at IS NOT NULL");
    assert_eq!(moved.len(), 1);
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let world = World::new();
    world.admin.ok("identities.createIdentity", json!({"externalId": "customer", "meta": {"a": 1}}));
    let before = world.everything();
    for (field, value) in [
        ("externalId", json!("other")),
        ("ratelimits", json!(null)),
        ("id", json!("id_1")),
        ("Enabled", json!(false)),
        ("meta", json!(null)),
        ("meta", wide(101)),
        ("meta", long((1 << 20) + 1)),
        ("enabled", json!(null)),
        ("enabled", json!(0)),
    ] {
        let answer = world.admin.call(UPDATE, json!({"identity": "customer", field: value}));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [format!("body.{field}")]);
    }
    assert_eq!(world.everything(), before);
    assert_eq!(world.admin.ok(UPDATE, json!({"identity": "customer", "meta": wide(100)}))["meta"], wide(100));
    assert_eq!(world.admin.ok(UPDATE, json!({"identity": "customer", "meta": long(1 << 20)}))["meta"], long(1 << 20));
}

#[test]
fn refusals_come_in_order() {
    let world = World::new();
    let id = identity(&world, "customer");
    let too_long = json!({"identity": "never", "meta": long((1 << 20) + 1)});
    let reader = world.root_key(&["identity.*.read_identity", "identity.id_1.update_identity"]);
    let answer = reader.call(UPDATE, too_long.clone());
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    reader.call(UPDATE, json!({"identity": id})).refused(403, "unkey/authorization/insufficient_permissions");
    world.admin.call(UPDATE, too_long).refused(400, "unkey/application/invalid_input");
    world.admin.call(UPDATE, json!({"identity": "never"})).refused(404, "unkey/data/identity_not_found");
}

#[test]
fn a_grant_for_one_identity_changes_it_and_no_other() {
    let world = World::new();
    let (own, other) = (identity(&world, "own"), identity(&world, "other"));
    let client =
        world.root_key(&[format!("identity.{own}.update_identity"), format!("identity.{own}.delete_identity")]);
    client.ok(UPDATE, json!({"identity": "own", "enabled": false}));
    let before = world.everything();
    for name in [other.as_str(), "other", "never"] {
        for operation in [UPDATE, "identities.deleteIdentity"] {
            let answer = client.call(operation, json!({"identity": name}));
            answer.refused(403, "unkey/authorization/insufficient_permissions");
        }
    }
    assert_eq!(world.everything(), before);
    assert_eq!(client.call("identities.deleteIdentity", json!({"identity": "own"})).status, 200);
}

#[test]
fn a_change_decides_the_next_answer_about_every_key() {
    let world = World::new();
    identity(&world, "customer");
    let api = world.api();
    let keys = [(); 2].map(|()| world.key(&api, json!({"externalId": "customer"})));
    world.admin.ok(UPDATE, json!({"identity": "customer", "enabled": false, "meta": {"plan": "free"}}));
    for key in &keys {
        let verified = world.verify(&key.plaintext);
        assert_eq!((&verified["valid"], &verified["code"]), (&json!(false), &json!("FORBIDDEN")));
        assert_eq!(verified["identity"]["meta"], json!({"plan": "free"}));
        assert_eq!(world.get_key(&key.id)["identity"]["meta"], json!({"plan": "free"}));
    }
    let listed = world.admin.ok("apis.listKeys", json!({"apiId": api}));
    assert_eq!(listed[1]["identity"]["meta"], json!({"plan": "free"}));
    world.admin.ok(UPDATE, json!({"identity": "customer", "enabled": true, "meta": {}}));
    for key in &keys {
        let verified = world.verify(&key.plaintext);
        assert_eq!(verified["code"], "VALID");
        assert_eq!(verified["identity"].get("meta"), None);
    }
}

#[test]
fn racing_calls_all_succeed_and_one_of_them_is_kept() {
    let world = World::new();
    identity(&world, "customer");
    std::thread::scope(|scope| {
        for i in 0..8 {
            let admin = &world.admin;
            scope.spawn(move || {
                let answer = admin.ok(UPDATE, json!({"identity": "customer", "meta": {"writer": i}}));
                assert_eq!(answer["meta"]["writer"], i);
            });
        }
    });
    assert!(get(&world, "customer")["meta"]["writer"].as_i64().is_some_and(|i| (0..8).contains(&i)));
    assert_eq!(world.audit().iter().filter(|event| *event == "identity.update").count(), 8);
}
