//! `permissions.listPermissions`.

use crate::harness::World;
use crate::permissions::invalid;
use crate::permissions::labels;
use crate::permissions::permission;
use serde_json::json;

const LIST: &str = "permissions.listPermissions";

#[test]
fn pages_hold_all_in_the_order_of_creation() {
    let world = World::new();
    assert_eq!(world.admin.call(LIST, json!({})).body["pagination"], json!({"hasMore": false}));
    let slugs: Vec<_> = (0..101).map(|n| format!("z{}", 200 - n)).collect();
    slugs.iter().for_each(|slug| drop(permission(&world, slug)));
    let first = world.admin.call(LIST, json!({}));
    assert_eq!(labels(first.data(), "slug"), slugs[..100]);
    let next = world.admin.call(LIST, json!({"cursor": first.body["pagination"]["cursor"]}));
    assert_eq!(labels(next.data(), "slug"), slugs[100..]);
    assert_eq!(next.body["pagination"], json!({"hasMore": false}));
    let one = world.admin.call(LIST, json!({"limit": 1}));
    assert_eq!(labels(one.data(), "slug"), slugs[..1]);
    assert_eq!(one.body["pagination"]["hasMore"], true);
}

#[test]
fn search_finds_in_id_slug_name_and_description_in_any_letter_case_and_literally() {
    let world = World::new();
    let make = |slug: &str, name: &str, description: &str| {
        let body = json!({"slug": slug, "name": name, "description": description});
        world.admin.ok("permissions.createPermission", body)["permissionId"].as_str().unwrap().to_owned()
    };
    let id = make("docs.read", "One", "first");
    make("mail.send", "Two_%", "");
    make("x", "Three", "the DOCS again");
    let found = |search: &str| labels(&world.admin.ok(LIST, json!({"search": search})), "slug");
    assert_eq!(found("dOcS"), ["docs.read", "x"]);
    assert_eq!(found("  three "), ["x"]);
    assert_eq!(found(&id.to_uppercase()), ["docs.read"]);
    assert_eq!(found("_%"), ["mail.send"]);
    assert_eq!(found("%%"), Vec::<String>::new());
    assert_eq!(found("\\"), Vec::<String>::new());
    assert_eq!(found(" ").len(), 3);
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    for operation in [LIST, "permissions.listRoles"] {
        world.admin.ok(operation, json!({"limit": 100, "cursor": "c".repeat(1024), "search": "s".repeat(256)}));
        for (field, value) in [
            ("limit", json!(0)),
            ("limit", json!(101)),
            ("limit", json!(null)),
            ("cursor", json!("c".repeat(1025))),
            ("search", json!("s".repeat(257))),
            ("unknown", json!(true)),
        ] {
            invalid(&world, operation, json!({field: value}), &[&format!("body.{field}")]);
        }
    }
}
