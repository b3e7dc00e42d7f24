//! What keys hold, by which routes, and what `keys.verifyKey` makes of it.

use crate::harness::Answer;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::role;
use serde_json::Value;
use serde_json::json;

const SYNTAX: &str = "user/bad_request/permissions_query_syntax_error";

fn asked(world: &World<'_>, key: &MadeKey, query: &str) -> Answer {
    world.admin.call("keys.verifyKey", json!({"key": key.plaintext, "permissions": query}))
}

fn code(world: &World<'_>, key: &MadeKey, query: &str) -> String {
    let answer = asked(world, key, query);
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    assert_eq!(answer.data()["valid"], json!(answer.data()["code"] == "VALID"));
    answer.data()["code"].as_str().unwrap().to_owned()
}

#[track_caller]
fn holds(world: &World<'_>, key: &MadeKey, slug: &str, expected: bool) {
    assert_eq!(code(world, key, slug), if expected { "VALID" } else { "INSUFFICIENT_PERMISSIONS" }, "{slug}");
}

/// A key that holds a slug by each route: `direct`, `by.role`, `owner`, `owner.role`.
fn everywhere() -> (World<'static>, MadeKey) {
    let world = World::new();
    role(&world, "editor", &["by.role"]);
    role(&world, "staff", &["owner.role"]);
    let fields = json!({"permissions": ["direct"], "roles": ["editor"], "externalId": "user_1"});
    let key = world.key(&world.api(), fields);
    world.admin.ok("identities.setPermissions", json!({"identity": "user_1", "permissions": ["owner"]}));
    world.admin.ok("identities.setRoles", json!({"identity": "user_1", "roles": ["staff"]}));
    (world, key)
}

#[test]
fn a_key_holds_what_it_its_roles_its_owner_and_the_owners_roles_have() {
    let (world, key) = everywhere();
    for slug in ["direct", "by.role", "owner", "owner.role"] {
        holds(&world, &key, slug, true);
    }
    let all = json!(["by.role", "direct", "owner", "owner.role"]);
    for shown in [world.verify(&key.plaintext), world.get_key(&key.id)] {
        assert_eq!((&shown["permissions"], &shown["roles"]), (&all, &json!(["editor"])), "{shown}");
        assert_eq!(shown["identity"]["externalId"], "user_1");
    }
    assert_eq!(code(&world, &key, "direct AND by.role AND owner AND owner.role"), "VALID");
    let denied = asked(&world, &key, "direct AND nothing");
    assert_eq!((&denied.data()["code"], &denied.data()["permissions"]), (&json!("INSUFFICIENT_PERMISSIONS"), &all));
}

#[test]
fn a_slug_that_is_held_twice_is_shown_once() {
    let world = World::new();
    role(&world, "a", &["same"]);
    role(&world, "b", &["same"]);
    let key = world.key(&world.api(), json!({"permissions": ["same", "same"], "roles": ["b", "a", "b"]}));
    let shown = world.verify(&key.plaintext);
    assert_eq!((&shown["permissions"], &shown["roles"]), (&json!(["same"]), &json!(["a", "b"])));
    world.admin.ok("keys.removePermissions", json!({"keyId": key.id, "permissions": ["same"]}));
    holds(&world, &key, "same", true);
    world.admin.ok("keys.removeRoles", json!({"keyId": key.id, "roles": ["a"]}));
    holds(&world, &key, "same", true);
    world.admin.ok("keys.removeRoles", json!({"keyId": key.id, "roles": ["b"]}));
    holds(&world, &key, "same", false);
}

#[test]
fn queries_are_read_as_documented() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"permissions": ["a", "b", "docs.*", "x-1_2:y", "ANDROID"]}));
    for (query, valid) in [
        ("a", true),
        ("c", false),
        ("A", false),
        ("a AND b", true),
        ("a and c", false),
        ("c oR b", true),
        ("a OR b AND c", true),
        ("(a OR b) AND c", false),
        ("c AND a OR b", true),
        ("(a)AND(b)", true),
        (" \t\r\n( ( a ) ) ", true),
        ("docs.*", true),
        ("docs.read", false),
        ("*", false),
        ("x-1_2:y", true),
        ("ANDROID", true),
        ("a/b", false),
    ] {
        let expected = if valid { "VALID" } else { "INSUFFICIENT_PERMISSIONS" };
        assert_eq!(code(&world, &key, query), expected, "{query}");
    }
}

#[test]
fn syntax_errors_say_what_is_wrong_and_where() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"permissions": ["a"]}));
    for (query, what, position) in [
        (" ", "ends", 1),
        ("a AND", "ends", 5),
        ("AND a", "`AND`", 0),
        ("a b", "`b`", 2),
        ("()", "`)`", 1),
        ("(a", "not closed", 0),
        ("a)", "`)`", 1),
        ("a OR OR b", "`OR`", 5),
        ("a AND é", "`é`", 6),
        ("a & b", "`&`", 2),
        ("a!", "`!`", 1),
    ] {
        let answer = asked(&world, &key, query);
        answer.refused(400, SYNTAX);
        assert_eq!(answer.body["error"]["errors"], json!([]));
        assert!(answer.detail().contains(what), "{query}: {}", answer.detail());
        assert!(answer.detail().ends_with(&format!("at position {position}.")), "{query}: {}", answer.detail());
    }
}

#[test]
fn a_malformed_query_is_refused_for_known_keys_only_and_before_their_state() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({"enabled": false}));
    let expired = world.key(&api, json!({"expires": 1}));
    for known in [&key, &expired] {
        asked(&world, known, "(").refused(400, SYNTAX);
    }
    let not_found = json!({"valid": false, "code": "NOT_FOUND"});
    let body = json!({"key": key.plaintext, "permissions": "("});
    let elsewhere = world.root_key(&["api.other.verify_key"]);
    assert_eq!(elsewhere.ok("keys.verifyKey", body.clone()), not_found);
    assert_eq!(World::new().admin.ok("keys.verifyKey", body), not_found);
    assert_eq!(world.admin.ok("keys.verifyKey", json!({"key": "unknown", "permissions": "("})), not_found);
}

#[test]
fn a_query_has_1_to_1000_characters() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"permissions": ["a"]}));
    let query = |length: usize| format!("a{}", " ".repeat(length - 1));
    assert_eq!(code(&world, &key, &query(1000)), "VALID");
    for query in [query(1001), String::new()] {
        invalid(&world, "keys.verifyKey", json!({"key": key.plaintext, "permissions": query}), &["body.permissions"]);
    }
}

#[test]
fn state_is_decided_before_permissions() {
    let world = World::new();
    let api = world.api();
    assert_eq!(code(&world, &world.key(&api, json!({"enabled": false})), "a"), "DISABLED");
    assert_eq!(code(&world, &world.key(&api, json!({"expires": 1})), "a"), "EXPIRED");
}

#[test]
fn every_change_of_what_is_held_decides_the_very_next_verification() {
    let (world, key) = everywhere();
    let change = |operation: &str, body: Value| world.admin.ok(operation, body);
    change("permissions.updatePermission", json!({"permission": "by.role", "slug": "renamed"}));
    holds(&world, &key, "by.role", false);
    holds(&world, &key, "renamed", true);
    change("permissions.setRolePermissions", json!({"role": "editor", "permissions": ["other"]}));
    holds(&world, &key, "renamed", false);
    holds(&world, &key, "other", true);
    change("permissions.updateRole", json!({"role": "editor", "name": "author"}));
    assert_eq!(world.verify(&key.plaintext)["roles"], json!(["author"]));
    holds(&world, &key, "other", true);
    change("permissions.deleteRole", json!({"role": "author"}));
    holds(&world, &key, "other", false);
    for slug in ["direct", "owner", "owner.role"] {
        change("permissions.deletePermission", json!({"permission": slug}));
        holds(&world, &key, slug, false);
    }
    change("permissions.setRolePermissions", json!({"role": "staff", "permissions": ["again"]}));
    holds(&world, &key, "again", true);
    change("permissions.deleteRole", json!({"role": "staff"}));
    holds(&world, &key, "again", false);
    assert!(world.verify(&key.plaintext).get("permissions").is_none());
    change("keys.addPermissions", json!({"keyId": key.id, "permissions": ["x"]}));
    holds(&world, &key, "x", true);
    change("keys.setPermissions", json!({"keyId": key.id, "permissions": ["y"]}));
    holds(&world, &key, "x", false);
    change("keys.removePermissions", json!({"keyId": key.id, "permissions": ["y"]}));
    holds(&world, &key, "y", false);
    role(&world, "late", &["z"]);
    change("keys.addRoles", json!({"keyId": key.id, "roles": ["late"]}));
    holds(&world, &key, "z", true);
    change("keys.setRoles", json!({"keyId": key.id, "roles": []}));
    holds(&world, &key, "z", false);
}

#[test]
fn what_the_owner_holds_goes_with_the_owner() {
    let (world, key) = everywhere();
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "externalId": null}));
    holds(&world, &key, "owner", false);
    holds(&world, &key, "owner.role", false);
    holds(&world, &key, "direct", true);
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "externalId": "user_1"}));
    holds(&world, &key, "owner.role", true);
    assert_eq!(world.admin.call("identities.deleteIdentity", json!({"identity": "user_1"})).status, 200);
    holds(&world, &key, "owner", false);
    holds(&world, &key, "owner.role", false);
    assert!(world.verify(&key.plaintext).get("identity").is_none());
}

#[test]
fn create_key_makes_permissions_and_owners_without_further_rights_but_no_roles() {
    let world = World::new();
    role(&world, "editor", &[]);
    let api = world.api();
    let creator = world.root_key(&["api.*.create_key"]);
    let fields = json!({"apiId": api, "permissions": ["a", "a", "A"], "roles": ["editor"], "externalId": "user_1"});
    let answer = creator.call("keys.createKey", fields);
    assert_eq!(
        events_of(&world, &answer),
        [
            "authorization.connect_permission_and_key",
            "authorization.connect_permission_and_key",
            "authorization.connect_role_and_key",
            "identity.create",
            "key.create",
            "permission.create",
            "permission.create",
        ]
    );
    let before = world.everything();
    let body = json!({"apiId": api, "permissions": ["new"], "roles": ["x", "editor", "y"], "externalId": "user_2"});
    let answer = creator.call("keys.createKey", body);
    answer.refused(404, "unkey/data/role_not_found");
    assert!(answer.detail().contains("'x'") && answer.detail().contains("'y'"), "{}", answer.text);
    assert_eq!(before, world.everything());
}

#[test]
fn update_key_replaces_clears_and_keeps() {
    let world = World::new();
    role(&world, "a", &[]);
    role(&world, "b", &[]);
    let key = world.key(&world.api(), json!({"permissions": ["p"], "roles": ["a"]}));
    let updater = world.root_key(&["api.*.update_key"]);
    let update = |mut body: Value| {
        body["keyId"] = json!(key.id);
        updater.ok("keys.updateKey", body);
        let shown = world.get_key(&key.id);
        (shown["permissions"].clone(), shown["roles"].clone())
    };
    assert_eq!(update(json!({"name": "x"})), (json!(["p"]), json!(["a"])));
    assert_eq!(update(json!({"permissions": ["r", "q"]})), (json!(["q", "r"]), json!(["a"])));
    assert_eq!(update(json!({"roles": ["b"]})), (json!(["q", "r"]), json!(["b"])));
    let before = world.everything();
    let body = json!({"keyId": key.id, "name": "y", "permissions": ["new"], "roles": ["unknown"]});
    updater.call("keys.updateKey", body).refused(404, "unkey/data/role_not_found");
    assert_eq!(before, world.everything());
    assert_eq!(update(json!({"permissions": [], "roles": []})), (Value::Null, Value::Null));
}

#[test]
fn lists_of_create_and_update_have_bounds() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let slugs = |count: usize| (0..count).map(|n| format!("slug.{n}")).collect::<Vec<_>>();
    let full = world.key(&api, json!({"permissions": slugs(1000)}));
    assert_eq!(world.get_key(&full.id)["permissions"].as_array().unwrap().len(), 1000);
    world.admin.ok("keys.updateKey", json!({"keyId": key.id, "permissions": slugs(1000)}));
    for (operation, named) in [("keys.createKey", json!({"apiId": api})), ("keys.updateKey", json!({"keyId": key.id}))]
    {
        for (field, value, location) in [
            ("permissions", json!(slugs(1001)), "body.permissions"),
            ("permissions", json!(null), "body.permissions"),
            ("permissions", json!(["a b"]), "body.permissions[0]"),
            ("roles", json!(vec!["r"; 101]), "body.roles"),
            ("roles", json!(null), "body.roles"),
            ("roles", json!(["x".repeat(129)]), "body.roles[0]"),
            ("externalId", json!("a@b"), "body.externalId"),
            ("externalId", json!("x".repeat(256)), "body.externalId"),
        ] {
            let mut body = named.clone();
            body[field] = value;
            invalid(&world, operation, body, &[location]);
        }
    }
}

#[test]
fn a_rerolled_key_takes_over_what_the_old_one_holds() {
    let (world, key) = everywhere();
    let data = world.admin.ok("keys.rerollKey", json!({"keyId": key.id, "expiration": 0}));
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    let new = MadeKey { id: text("keyId"), plaintext: text("key") };
    for slug in ["direct", "by.role", "owner", "owner.role"] {
        holds(&world, &new, slug, true);
    }
}
