//! `permissions.deletePermission`.

use crate::harness::World;
use crate::permissions::at_once;
use crate::permissions::events_of;
use crate::permissions::last_display;
use crate::permissions::permission;
use crate::permissions::role;
use serde_json::json;

const DELETE: &str = "permissions.deletePermission";

#[test]
fn it_is_taken_from_everybody_and_the_audit_log_says_from_how_many() {
    let world = World::new();
    let api = world.api();
    permission(&world, "docs.read");
    role(&world, "editor", &["docs.read", "docs.write"]);
    let keys = [0, 1].map(|_| world.key(&api, json!({"permissions": ["docs.read"], "externalId": "owner"})));
    let gone = world.key(&api, json!({"permissions": ["docs.read"]}));
    world.admin.ok("keys.deleteKey", json!({"keyId": gone.id}));
    world.execute(
        "INSERT INTO identity_permissions (identity_id, permission_id, workspace_id) \
         SELECT i.id, p.id, $ws FROM identities i, permissions p \
         WHERE i.workspace_id = $ws AND p.workspace_id = $ws AND p.slug = 'docs.read'",
    );
    let answer = world.admin.call(DELETE, json!({"permission": "docs.read"}));
    assert_eq!(answer.data(), &json!({}));
    assert_eq!(events_of(&world, &answer), ["permission.delete"]);
    assert_eq!(last_display(&world), "deleted permission docs.read (taken from keys: 2, roles: 1, identities: 1)");
    for key in keys {
        assert!(world.get_key(&key.id).get("permissions").is_none());
    }
    let editor = world.admin.ok("permissions.getRole", json!({"role": "editor"}));
    assert_eq!(editor["permissions"].as_array().unwrap().len(), 1);
    world.admin.call(DELETE, json!({"permission": "docs.read"})).refused(404, "unkey/data/permission_not_found");
    permission(&world, "docs.read");
    let editor = world.admin.ok("permissions.getRole", json!({"role": "editor"}));
    assert_eq!(editor["permissions"].as_array().unwrap().len(), 1, "a new one is held by nobody");
}

#[test]
fn the_id_wins_over_a_slug_that_looks_like_it() {
    let world = World::new();
    let id = permission(&world, "first");
    permission(&world, &id);
    world.admin.ok(DELETE, json!({"permission": id}));
    world
        .admin
        .call("permissions.getPermission", json!({"permission": "first"}))
        .refused(404, "unkey/data/permission_not_found");
    world.admin.ok("permissions.getPermission", json!({"permission": id}));
}

#[test]
fn giving_and_deleting_at_the_same_moment_never_fails() {
    let world = World::new();
    let api = world.api();
    let keys: Vec<_> = (0..4).map(|_| world.key(&api, json!({}))).collect();
    for _ in 0..12 {
        let answers = at_once(8, |n| match n {
            0..4 => world.admin.call("keys.addPermissions", json!({"keyId": keys[n].id, "permissions": ["a", "b"]})),
            4 => world.admin.call("permissions.createRole", json!({"name": "r", "permissions": ["b", "a"]})),
            5 => world.admin.call("permissions.deleteRole", json!({"role": "r"})),
            6 => world.admin.call(DELETE, json!({"permission": "a"})),
            _ => world.admin.call(DELETE, json!({"permission": "b"})),
        });
        for answer in &answers[..4] {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        assert!(answers.iter().all(|answer| [200, 404, 409].contains(&answer.status)), "{answers:?}");
    }
}
