//! `permissions.createRole`.

use crate::harness::World;
use crate::permissions::at_once;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::labels;
use crate::permissions::permission;
use crate::permissions::role;
use serde_json::json;

const CREATE: &str = "permissions.createRole";

#[test]
fn a_role_is_made_with_permissions_that_exist_and_such_that_do_not() {
    let world = World::new();
    permission(&world, "b");
    let body = json!({"name": "Éditeur 1", "description": "Writes", "permissions": ["c", "b", "C", "c"]});
    let answer = world.admin.call(CREATE, body);
    let id = answer.data()["roleId"].as_str().unwrap();
    assert_eq!(
        events_of(&world, &answer),
        [
            "authorization.connect_role_and_permission",
            "authorization.connect_role_and_permission",
            "authorization.connect_role_and_permission",
            "permission.create",
            "permission.create",
            "role.create",
        ]
    );
    let shown = world.admin.ok("permissions.getRole", json!({"role": id}));
    assert_eq!((&shown["name"], &shown["description"]), (&json!("Éditeur 1"), &json!("Writes")));
    assert_eq!(labels(&shown["permissions"], "slug"), ["C", "b", "c"]);
    assert_eq!(labels(&shown["permissions"], "name"), ["C", "b", "c"]);
}

#[test]
fn a_role_without_permissions_needs_create_role_only() {
    let world = World::new();
    let creator = world.root_key(&["rbac.*.create_role"]);
    for body in [json!({"name": "a"}), json!({"name": "b", "permissions": [], "description": ""})] {
        let id = creator.ok(CREATE, body.clone())["roleId"].clone();
        let shown = world.admin.ok("permissions.getRole", json!({"role": id}));
        assert_eq!(shown, json!({"id": id, "name": body["name"]}));
    }
}

#[test]
fn permissions_need_further_rights_and_a_refusal_leaves_nothing_behind() {
    let world = World::new();
    permission(&world, "known");
    let adder = world.root_key(&["rbac.*.create_role", "rbac.*.add_permission_to_role"]);
    let before = world.everything();
    let only = world.root_key(&["rbac.*.create_role"]);
    let before_only = world.everything();
    let answer = only.call(CREATE, json!({"name": "r", "permissions": ["known"]}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["missing"], json!(["rbac.*.add_permission_to_role"]));
    let answer = adder.call(CREATE, json!({"name": "r", "permissions": ["known", "new"]}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(answer.body["error"]["missing"], json!(["rbac.*.create_permission"]));
    assert_eq!(before_only, world.everything());
    assert_ne!(before, before_only, "the root key itself is seen");
    adder.ok(CREATE, json!({"name": "r", "permissions": ["known"]}));
    // The right is asked for before the name.
    adder
        .call(CREATE, json!({"name": "r", "permissions": ["new"]}))
        .refused(403, "unkey/authorization/insufficient_permissions");
}

#[test]
fn a_name_is_taken_once_in_its_very_letter_case_and_accents() {
    let world = World::new();
    role(&world, "resume", &[]);
    let before = world.everything();
    let answer = world.admin.call(CREATE, json!({"name": "resume", "permissions": ["new"]}));
    answer.refused(409, "unkey/data/role_already_exists");
    assert!(answer.detail().contains("'resume'"), "{}", answer.text);
    assert_eq!(before, world.everything());
    role(&world, "Resume", &[]);
    role(&world, "résumé", &[]);
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let slugs = |count: usize| (0..count).map(|n| format!("slug.{n}")).collect::<Vec<_>>();
    world
        .admin
        .ok(CREATE, json!({"name": "🔑".repeat(128), "description": "d".repeat(512), "permissions": slugs(1000)}));
    invalid(&world, CREATE, json!({"name": "r", "permissions": slugs(1001)}), &["body.permissions"]);
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(129))),
        ("name", json!(null)),
        ("description", json!("d".repeat(513))),
        ("description", json!(null)),
        ("permissions", json!(null)),
        ("unknown", json!(1)),
    ] {
        let mut body = json!({"name": "r"});
        body[field] = value;
        invalid(&world, CREATE, body, &[&format!("body.{field}")]);
    }
    invalid(
        &world,
        CREATE,
        json!({"name": "r", "permissions": ["ok", "a b", ""]}),
        &["body.permissions[1]", "body.permissions[2]", "body.permissions[2]"],
    );
}

#[test]
fn calls_at_the_same_moment_share_the_permissions_that_they_make() {
    let world = World::new();
    let answers = at_once(8, |n| {
        let slugs = if n % 2 == 0 { ["x", "y", "z"] } else { ["z", "y", "x"] };
        world.admin.call(CREATE, json!({"name": format!("role {n}"), "permissions": slugs}))
    });
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let made = world.audit().iter().filter(|event| *event == "permission.create").count();
    assert_eq!(made, 3);
    assert_eq!(world.rows("SELECT 1 FROM role_permissions WHERE workspace_id = $ws").len(), 24);
}

#[test]
fn of_calls_at_the_same_moment_for_one_name_one_makes_it() {
    let world = World::new();
    let answers = at_once(8, |_| world.admin.call(CREATE, json!({"name": "same", "permissions": ["a"]})));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 7);
}
