//! `permissions.createPermission`.

use crate::harness::World;
use crate::permissions::at_once;
use crate::permissions::events_of;
use crate::permissions::invalid;
use crate::permissions::permission;
use serde_json::json;

const CREATE: &str = "permissions.createPermission";

#[test]
fn a_permission_is_made_as_asked() {
    let world = World::new();
    let answer = world.admin.call(CREATE, json!({"name": "Read · 読む", "slug": "docs.read", "description": "All"}));
    let id = answer.data()["permissionId"].as_str().unwrap();
    assert_eq!(
        world.admin.ok("permissions.getPermission", json!({"permission": id})),
        json!({"id": id, "name": "Read · 読む", "slug": "docs.read", "description": "All"})
    );
    assert_eq!(events_of(&world, &answer), ["permission.create"]);
}

#[test]
fn an_empty_description_is_none() {
    let world = World::new();
    let id = world.admin.ok(CREATE, json!({"name": "x", "slug": "x", "description": ""}))["permissionId"].clone();
    let shown = world.admin.ok("permissions.getPermission", json!({"permission": id}));
    assert_eq!(shown, json!({"id": id, "name": "x", "slug": "x"}));
}

#[test]
fn a_slug_is_taken_once_in_its_very_letter_case_and_names_may_repeat() {
    let world = World::new();
    permission(&world, "docs.read");
    let before = world.everything();
    let answer = world.admin.call(CREATE, json!({"name": "other", "slug": "docs.read"}));
    answer.refused(409, "unkey/data/permission_already_exists");
    assert!(answer.detail().contains("'docs.read'"), "{}", answer.text);
    assert_eq!(answer.body["error"]["title"], "Conflicting Resource");
    assert_eq!(before, world.everything());
    world.admin.ok(CREATE, json!({"name": "docs.read", "slug": "Docs.Read"}));
}

#[test]
fn a_slug_that_was_deleted_is_free_and_gets_another_id() {
    let world = World::new();
    let first = permission(&world, "a");
    world.admin.ok("permissions.deletePermission", json!({"permission": "a"}));
    assert_ne!(first, permission(&world, "a"));
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    for (name, slug, description) in [
        ("x".repeat(512), "a".repeat(128), "d".repeat(512)),
        ("🔑".repeat(512), "aZ09_:-.*".to_owned(), "é".repeat(512)),
        (" ".to_owned(), "*".to_owned(), " ".to_owned()),
    ] {
        world.admin.ok(CREATE, json!({"name": name, "slug": slug, "description": description}));
    }
    let with = |field: &str, value: serde_json::Value| {
        let mut body = json!({"name": "n", "slug": "s", "description": "d"});
        body[field] = value;
        body
    };
    for name in [json!(""), json!("x".repeat(513)), json!(null), json!(7), json!("nul\u{0}")] {
        invalid(&world, CREATE, with("name", name), &["body.name"]);
    }
    for slug in ["a".repeat(129), "a b".to_owned(), "a/b".to_owned(), "é".to_owned(), "a\n".to_owned()] {
        invalid(&world, CREATE, with("slug", json!(slug)), &["body.slug"]);
    }
    for description in [json!("d".repeat(513)), json!(null)] {
        invalid(&world, CREATE, with("description", description), &["body.description"]);
    }
    invalid(&world, CREATE, with("unknown", json!(1)), &["body.unknown"]);
    invalid(&world, CREATE, json!({"slug": "s"}), &["body.name"]);
    invalid(&world, CREATE, json!({"name": "s"}), &["body.slug"]);
}

#[test]
fn of_calls_at_the_same_moment_one_makes_it_and_the_others_learn_that_it_exists() {
    let world = World::new();
    let answers = at_once(8, |_| world.admin.call(CREATE, json!({"name": "n", "slug": "same"})));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused(409, "unkey/data/permission_already_exists");
    }
    assert_eq!(world.audit(), ["permission.create"]);
}

#[test]
fn whoever_lacks_the_right_does_not_learn_what_exists() {
    let world = World::new();
    permission(&world, "there");
    let nobody = world.root_key(&["rbac.*.read_role"]);
    for (operation, field) in [
        ("permissions.getPermission", "permission"),
        ("permissions.deletePermission", "permission"),
        ("permissions.updatePermission", "permission"),
    ] {
        let answers = ["there", "nowhere"].map(|slug| nobody.call(operation, json!({field: slug})));
        answers[0].refused(403, "unkey/authorization/insufficient_permissions");
        assert_eq!(answers[0].without_request_id(), answers[1].without_request_id());
    }
    let [taken, free] = ["there", "free"].map(|slug| nobody.call(CREATE, json!({"name": "n", "slug": slug})));
    assert_eq!(taken.without_request_id(), free.without_request_id());
    assert_eq!(taken.status, 403);
}
