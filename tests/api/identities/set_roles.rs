//! `identities.setRoles`.

use crate::harness::World;
use crate::identities::get;
use crate::identities::identity;
use crate::identities::role;
use serde_json::Value;
use serde_json::json;

const SET: &str = "identities.setRoles";

#[test]
fn an_identity_has_exactly_the_roles_that_were_set() {
    let world = World::new();
    let id = identity(&world, "customer");
    for name in ["writer", "Reader", "two words"] {
        role(&world, name, &[]);
    }
    world.execute("UPDATE roles SET description = 'Writes.' WHERE workspace_id = $ws AND name = 'writer'");
    let set = |roles: Value| world.admin.ok(SET, json!({"identity": "customer", "roles": roles}));
    let first = set(json!(["writer", "Reader", "writer"]));
    assert_eq!(first[0], json!({"id": first[0]["id"], "name": "Reader"}));
    assert_eq!(first[1], json!({"id": first[1]["id"], "name": "writer", "description": "Writes."}));
    assert_eq!(get(&world, &id)["roles"], json!(["Reader", "writer"]));
    assert_eq!(set(json!(["two words"]))[0]["name"], "two words");
    assert_eq!(set(json!([])), json!([]));
    assert_eq!(get(&world, &id).get("roles"), None);
}

#[test]
fn only_actual_changes_are_audited_under_the_request_id() {
    let world = World::new();
    let id = identity(&world, "customer");
    role(&world, "a", &[]);
    role(&world, "b", &[]);
    world.admin.ok(SET, json!({"identity": id, "roles": ["a"]}));
    let answer = world.admin.call(SET, json!({"identity": id, "roles": ["b"]}));
    let connect = "authorization.connect_role_and_identity";
    let disconnect = "authorization.disconnect_role_and_identity";
    assert_eq!(world.audit(), ["identity.create", connect, disconnect, connect]);
    let log = world.rows("SELECT * FROM audit_log WHERE workspace_id = $ws ORDER BY id DESC LIMIT 2");
    assert!(log.iter().all(|row| row["correlation_id"] == answer.body["meta"]["requestId"]));
    let before = world.everything();
    world.admin.ok(SET, json!({"identity": id, "roles": ["b", "b"]}));
    assert_eq!(world.everything(), before);
}

#[test]
fn an_unknown_role_is_quoted_and_nothing_changes() {
    let world = World::new();
    identity(&world, "customer");
    role(&world, "known", &[]);
    role(&World::new(), "foreign", &[]);
    let before = world.everything();
    for unknown in ["Known", "known ", "foreign", "never"] {
        let answer = world.admin.call(SET, json!({"identity": "customer", "roles": ["known", unknown]}));
        answer.refused(404, "unkey/data/role_not_found");
        assert!(answer.detail().contains(&format!("'{unknown}'")), "{}", answer.detail());
    }
    let answer = world.admin.call(SET, json!({"identity": "never", "roles": ["never"]}));
    answer.refused(404, "unkey/data/identity_not_found");
    assert_eq!(world.everything(), before);
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    identity(&world, "customer");
    let names: Vec<_> = (0..99).map(|i| format!("r{i:02}")).chain(["x".repeat(128)]).collect();
    for name in &names {
        role(&world, name, &[]);
    }
    assert_eq!(world.admin.ok(SET, json!({"identity": "customer", "roles": names})).as_array().unwrap().len(), 100);
    let too_many: Vec<_> = names.iter().map(String::as_str).chain(["r00"]).collect();
    for (roles, location) in [
        (json!(too_many), "body.roles"),
        (json!(null), "body.roles"),
        (json!([""]), "body.roles[0]"),
        (json!(["x".repeat(129)]), "body.roles[0]"),
        (json!(["a\0"]), "body.roles[0]"),
    ] {
        let answer = world.admin.call(SET, json!({"identity": "customer", "roles": roles}));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [location]);
    }
    assert_eq!(world.admin.call(SET, json!({"identity": "customer"})).locations(), ["body.roles"]);
}

#[test]
fn the_right_to_change_the_identity_is_enough() {
    let world = World::new();
    let id = identity(&world, "customer");
    role(&world, "a", &[]);
    world.root_key(&["identity.*.update_identity"]).ok(SET, json!({"identity": id, "roles": ["a"]}));
    let own = world.root_key(&[format!("identity.{id}.update_identity")]);
    own.ok(SET, json!({"identity": "customer", "roles": []}));
    let other = world.root_key(&["identity.id_1.update_identity", "rbac.*.add_role_to_key"]);
    other.call(SET, json!({"identity": id, "roles": []})).refused(403, "unkey/authorization/insufficient_permissions");
}

#[test]
fn every_key_of_the_identity_holds_the_permissions_of_its_roles_at_once() {
    let world = World::new();
    role(&world, "writer", &["docs.write", "docs.read"]);
    let key = world.key(&world.api(), json!({"externalId": "customer"}));
    for (roles, permissions) in [(json!(["writer"]), json!(["docs.read", "docs.write"])), (json!([]), json!(null))] {
        world.admin.ok(SET, json!({"identity": "customer", "roles": roles}));
        let verified = world.verify(&key.plaintext);
        assert_eq!(verified["permissions"], permissions);
        assert_eq!(world.get_key(&key.id)["permissions"], permissions);
        // The owner's roles are not the key's own.
        assert_eq!(verified.get("roles"), None);
    }
}
