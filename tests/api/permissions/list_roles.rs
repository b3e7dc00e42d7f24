//! `permissions.listRoles`.

use crate::harness::World;
use crate::permissions::labels;
use crate::permissions::role;
use serde_json::json;

const LIST: &str = "permissions.listRoles";

#[test]
fn pages_hold_all_in_the_order_of_creation_with_their_permissions() {
    let world = World::new();
    let names: Vec<_> = (0..5).map(|n| format!("role {}", 9 - n)).collect();
    names.iter().for_each(|name| drop(role(&world, name, &["z", "a"])));
    let mut seen = Vec::new();
    let mut body = json!({"limit": 2});
    loop {
        let page = world.admin.call(LIST, body.clone());
        for role in page.data().as_array().unwrap() {
            assert_eq!(labels(&role["permissions"], "slug"), ["a", "z"]);
        }
        seen.extend(labels(page.data(), "name"));
        let next = &page.body["pagination"]["cursor"];
        if next.is_null() {
            break;
        }
        body["cursor"] = next.clone();
    }
    assert_eq!(seen, names);
}

#[test]
fn search_finds_in_id_name_and_description_in_any_letter_case() {
    let world = World::new();
    let id = role(&world, "Editor", &["docs"]);
    world.admin.ok("permissions.createRole", json!({"name": "other", "description": "the editors"}));
    let found = |search: &str| labels(&world.admin.ok(LIST, json!({"search": search})), "name");
    assert_eq!(found("eDITOR"), ["Editor", "other"]);
    assert_eq!(found(&id), ["Editor"]);
    assert_eq!(found("docs"), Vec::<String>::new());
    assert_eq!(found("e_itor"), Vec::<String>::new());
}
