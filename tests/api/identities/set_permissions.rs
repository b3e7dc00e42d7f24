//! `identities.setPermissions`.

use crate::harness::World;
use crate::identities::get;
use crate::identities::identity;
use serde_json::Value;
use serde_json::json;

const SET: &str = "identities.setPermissions";
const RIGHTS: [&str; 3] =
    ["identity.*.update_identity", "rbac.*.add_permission_to_key", "rbac.*.remove_permission_from_key"];

fn slugs(data: &Value) -> Vec<&str> {
    data.as_array().unwrap().iter().map(|row| row["slug"].as_str().unwrap()).collect()
}

#[test]
fn an_identity_holds_exactly_what_was_set() {
    let world = World::new();
    identity(&world, "customer");
    let set = |slugs: Value| world.admin.ok(SET, json!({"identity": "customer", "permissions": slugs}));
    let first = set(json!(["b", "a", "b", "B"]));
    assert_eq!(slugs(&first), ["B", "a", "b"]);
    assert_eq!(first[1], json!({"id": first[1]["id"], "name": "a", "slug": "a"}));
    let second = set(json!(["c", "a"]));
    assert_eq!(slugs(&second), ["a", "c"]);
    assert_eq!(second[0]["id"], first[1]["id"]);
    assert_eq!(get(&world, "customer")["permissions"], json!(["a", "c"]));
    assert_eq!(set(json!([])), json!([]));
    assert_eq!(get(&world, "customer").get("permissions"), None);
}

#[test]
fn only_actual_changes_are_audited_under_the_request_id() {
    let world = World::new();
    let id = identity(&world, "customer");
    world.admin.ok(SET, json!({"identity": id, "permissions": ["a", "b"]}));
    let answer = world.admin.call(SET, json!({"identity": id, "permissions": ["b", "c"]}));
    let connect = "authorization.connect_permission_and_identity";
    let disconnect = "authorization.disconnect_permission_and_identity";
    let expected = [
        "identity.create",
        "permission.create",
        "permission.create",
        connect,
        connect,
        "permission.create",
        disconnect,
        connect,
    ];
    assert_eq!(world.audit(), expected);
    let log = world.rows("SELECT * FROM audit_log WHERE workspace_id = $ws ORDER BY id DESC LIMIT 3");
    assert!(log.iter().all(|row| row["correlation_id"] == answer.body["meta"]["requestId"]));
    assert_eq!(log[0]["resources"][0], json!({"type": "identity", "id": id}));
    assert_eq!(log[0]["resources"][1], json!({"type": "permission", "id": answer.data()[1]["id"], "name": "c"}));
    let before = world.everything();
    world.admin.ok(SET, json!({"identity": id, "permissions": ["c", "b"]}));
    assert_eq!(world.everything(), before);
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    identity(&world, "customer");
    let many = |n: usize| json!((0..n).map(|i| format!("p{i:04}")).collect::<Vec<_>>());
    let set = |permissions: Value| world.admin.call(SET, json!({"identity": "customer", "permissions": permissions}));
    assert_eq!(set(many(1000)).data().as_array().unwrap().len(), 1000);
    assert_eq!(set(json!(["x".repeat(128), "aZ09_:-.*"])).status, 200);
    let before = world.everything();
    for (permissions, location) in [
        (many(1001), "body.permissions"),
        (json!(null), "body.permissions"),
        (json!("a"), "body.permissions"),
        (json!(["a", ""]), "body.permissions[1]"),
        (json!(["x".repeat(129)]), "body.permissions[0]"),
        (json!(["a b"]), "body.permissions[0]"),
        (json!(["a/b"]), "body.permissions[0]"),
        (json!([1]), "body.permissions[0]"),
    ] {
        let answer = set(permissions);
        answer.refused(400, "unkey/application/invalid_input");
        assert!(answer.locations().iter().all(|found| *found == location), "{:?}", answer.locations());
    }
    let answer = world.admin.call(SET, json!({"identity": "customer"}));
    assert_eq!(answer.locations(), ["body.permissions"]);
    assert_eq!(world.everything(), before);
}

#[test]
fn new_slugs_need_the_right_to_create_them_and_known_ones_do_not() {
    let world = World::new();
    identity(&world, "customer");
    world.admin.ok(SET, json!({"identity": "customer", "permissions": ["known"]}));
    let client = world.root_key(&RIGHTS);
    client.ok(SET, json!({"identity": "customer", "permissions": []}));
    client.ok(SET, json!({"identity": "customer", "permissions": ["known"]}));
    let before = world.everything();
    let answer = client.call(SET, json!({"identity": "customer", "permissions": ["known", "new"]}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["missing"], json!(["rbac.*.create_permission"]));
    assert_eq!(world.everything(), before);
    // Whether there is such an identity comes first.
    let answer = client.call(SET, json!({"identity": "never", "permissions": ["new"]}));
    answer.refused(404, "unkey/data/identity_not_found");
}

#[test]
fn a_grant_for_one_identity_is_enough_beside_the_general_ones() {
    let world = World::new();
    let (own, other) = (identity(&world, "own"), identity(&world, "other"));
    let rights = [&format!("identity.{own}.update_identity"), RIGHTS[1], RIGHTS[2], "rbac.*.create_permission"];
    let client = world.root_key(&rights);
    client.ok(SET, json!({"identity": "own", "permissions": ["a"]}));
    let answer = client.call(SET, json!({"identity": other, "permissions": ["a"]}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["missing"], json!([format!("identity.{other}.update_identity")]));
    // What is held for the one identity is not named as missing.
    let answer = world.root_key(&rights[..2]).call(SET, json!({"identity": "own", "permissions": ["a"]}));
    assert_eq!(answer.body["error"]["missing"], json!([RIGHTS[2]]));
}

#[test]
fn every_key_of_the_identity_holds_it_at_once() {
    let world = World::new();
    let api = world.api();
    let keys = [(); 2].map(|()| world.key(&api, json!({"externalId": "customer", "permissions": ["own"]})));
    let stranger = world.key(&api, json!({"externalId": "stranger"}));
    let code = |key: &str| {
        let body = json!({"key": key, "permissions": "docs.read AND own"});
        world.admin.ok("keys.verifyKey", body)["code"].as_str().unwrap().to_owned()
    };
    for (permissions, expected) in
        [(json!(["docs.read"]), "VALID"), (json!([]), "INSUFFICIENT_PERMISSIONS"), (json!(["docs.read"]), "VALID")]
    {
        world.admin.ok(SET, json!({"identity": "customer", "permissions": permissions}));
        for key in &keys {
            assert_eq!(code(&key.plaintext), expected);
        }
    }
    for shown in [world.get_key(&keys[0].id), world.admin.ok("apis.listKeys", json!({"apiId": api}))[0].clone()] {
        assert_eq!(shown["permissions"], json!(["docs.read", "own"]));
    }
    assert_eq!(world.verify(&stranger.plaintext).get("permissions"), None);
}

#[test]
fn racing_calls_end_with_exactly_one_of_the_sets() {
    let world = World::new();
    identity(&world, "customer");
    let sets: Vec<_> = (0..6).map(|i| vec!["shared".to_owned(), format!("a{i}"), format!("b{i}")]).collect();
    std::thread::scope(|scope| {
        for set in &sets {
            let admin = &world.admin;
            scope.spawn(move || {
                let mut sorted = set.clone();
                sorted.sort();
                let answer = admin.ok(SET, json!({"identity": "customer", "permissions": set}));
                assert_eq!(slugs(&answer), sorted);
            });
        }
    });
    let held = get(&world, "customer")["permissions"].clone();
    assert!(sets.iter().any(|set| held == json!([set[1], set[2], set[0]])), "{held}");
    assert_eq!(world.rows("SELECT 1 AS yes FROM permissions WHERE workspace_id = $ws AND slug = 'shared'").len(), 1);
}
