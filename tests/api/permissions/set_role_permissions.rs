//! `permissions.setRolePermissions`.

use crate::harness::World;
use crate::permissions::at_once;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::labels;
use crate::permissions::role;
use serde_json::json;

const SET: &str = "permissions.setRolePermissions";

#[test]
fn the_role_has_exactly_these_afterwards() {
    let world = World::new();
    let id = role(&world, "editor", &["a", "b"]);
    let answer = world.admin.call(SET, json!({"roleId": id, "permissions": ["c", "b", "c"]}));
    assert_eq!(labels(answer.data(), "slug"), ["b", "c"]);
    assert_eq!(
        events_of(&world, &answer),
        [
            "authorization.connect_role_and_permission",
            "authorization.disconnect_role_and_permissions",
            "permission.create",
        ]
    );
    let before = world.everything();
    assert_eq!(labels(&world.admin.ok(SET, json!({"role": "editor", "permissions": ["b", "c"]})), "slug"), ["b", "c"]);
    assert_eq!(before, world.everything(), "a repeat changes nothing");
    assert_eq!(world.admin.ok(SET, json!({"role": id, "permissions": []})), json!([]));
    assert!(world.admin.ok("permissions.getRole", json!({"role": id})).get("permissions").is_none());
}

#[test]
fn exactly_one_of_role_and_role_id_names_the_role() {
    let world = World::new();
    let id = role(&world, "editor", &["a"]);
    invalid(&world, SET, json!({"permissions": []}), &["body"]);
    invalid(&world, SET, json!({"role": id, "roleId": id, "permissions": []}), &["body"]);
    invalid(&world, SET, json!({"roleId": id}), &["body.permissions"]);
    let answer = world.admin.call(SET, json!({"roleId": "editor", "permissions": []}));
    answer.refused(404, "unkey/data/role_not_found");
    world.admin.call(SET, json!({"role": "Editor", "permissions": []})).refused(404, "unkey/data/role_not_found");
    // The id wins over a name that looks like it.
    role(&world, &id, &[]);
    world.admin.ok(SET, json!({"role": id, "permissions": ["won"]}));
    let shown = world.admin.ok("permissions.getRole", json!({"role": "editor"}));
    assert_eq!(labels(&shown["permissions"], "slug"), ["won"]);
}

#[test]
fn both_rights_are_needed_even_for_nothing_and_new_slugs_need_a_third() {
    let world = World::new();
    role(&world, "editor", &["a"]);
    let both = ["rbac.*.add_permission_to_role", "rbac.*.remove_permission_from_role"];
    let clients = both.map(|one| world.root_key(&[one]));
    let setter = world.root_key(&both);
    let before = world.everything();
    for client in clients {
        for role in ["editor", "nobody"] {
            let answer = client.call(SET, json!({"role": role, "permissions": ["a"]}));
            answer.refused(403, "unkey/authorization/insufficient_permissions");
        }
    }
    // The role is looked up before it is asked who may make permissions.
    setter.call(SET, json!({"role": "nobody", "permissions": ["new"]})).refused(404, "unkey/data/role_not_found");
    let answer = setter.call(SET, json!({"role": "editor", "permissions": ["new"]}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["missing"], json!(["rbac.*.create_permission"]));
    assert_eq!(before, world.everything());
    setter.ok(SET, json!({"role": "editor", "permissions": []}));
    setter.ok(SET, json!({"role": "editor", "permissions": ["a"]}));
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    role(&world, "r", &[]);
    let slugs = |count: usize| (0..count).map(|n| format!("slug.{n:04}")).collect::<Vec<_>>();
    let data = world.admin.ok(SET, json!({"role": "r", "permissions": slugs(1000)}));
    assert_eq!(labels(&data, "slug"), slugs(1000));
    invalid(&world, SET, json!({"role": "r", "permissions": slugs(1001)}), &["body.permissions"]);
    invalid(&world, SET, json!({"role": "x".repeat(129), "permissions": []}), &["body.role"]);
    for id in ["ab".to_owned(), "x".repeat(256), "a b c".to_owned()] {
        invalid(&world, SET, json!({"roleId": id, "permissions": []}), &["body.roleId"]);
    }
    for id in ["a-b".to_owned(), "x".repeat(255)] {
        let answer = world.admin.call(SET, json!({"roleId": id, "permissions": []}));
        answer.refused(404, "unkey/data/role_not_found");
    }
}

#[test]
fn calls_at_the_same_moment_end_with_one_of_the_sets() {
    let world = World::new();
    role(&world, "r", &["old"]);
    let sets = [["a", "b"], ["b", "c"], ["c", "d"], ["d", "a"], ["a", "c"], ["b", "d"]];
    let answers = at_once(6, |n| world.admin.call(SET, json!({"role": "r", "permissions": sets[n]})));
    for (answer, set) in answers.iter().zip(sets) {
        let mut sorted = set;
        sorted.sort_unstable();
        assert_eq!(labels(answer.data(), "slug"), sorted, "{}", answer.text);
    }
    let shown = world.admin.ok("permissions.getRole", json!({"role": "r"}));
    let left = labels(&shown["permissions"], "slug");
    assert!(sets.iter().any(|set| set.iter().all(|slug| left.contains(&(*slug).to_owned()))), "{left:?}");
    assert_eq!(left.len(), 2);
}
