//! `apis.createApi`.

use crate::harness::World;
use serde_json::json;

#[test]
fn equal_names_make_different_apis() {
    let world = World::new();
    let first = world.admin.ok("apis.createApi", json!({"name": "payments"}));
    let second = world.admin.ok("apis.createApi", json!({"name": "payments"}));
    assert_ne!(first["apiId"], second["apiId"]);
    assert_eq!(first.as_object().unwrap().len(), 1);
    assert_eq!(world.audit(), ["api.create", "api.create"]);
}

#[test]
fn names_have_3_to_256_characters_of_any_kind() {
    let world = World::new();
    for name in ["abc", "   ", "päy·🔑", &"x".repeat(256)] {
        world.admin.ok("apis.createApi", json!({"name": name}));
    }
    for name in ["", "ab", "🔑🔑", &"x".repeat(257)] {
        let answer = world.admin.call("apis.createApi", json!({"name": name}));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), ["body.name"]);
    }
}
