//! `ratelimit.getNamespace`.

use crate::harness::World;
use crate::ratelimit::namespace;
use crate::ratelimit::now_ms;
use serde_json::json;

const GET: &str = "ratelimit.getNamespace";

#[test]
fn id_name_and_time_of_creation_are_shown() {
    let world = World::new();
    let before = now_ms(world.server);
    let id = namespace(&world, "n");
    let shown = world.admin.ok(GET, json!({"namespace": "n"}));
    assert_eq!((&shown["id"], &shown["name"], shown.as_object().unwrap().len()), (&json!(id), &json!("n"), 3));
    let created = shown["createdAt"].as_i64().unwrap();
    assert!(before <= created && created <= now_ms(world.server));
    assert_eq!(world.admin.ok(GET, json!({"namespace": id})), shown);
    // It shows the id that a grant needs.
    let client = world.root_key(&[format!("ratelimit.{id}.read_namespace")]);
    assert_eq!(client.ok(GET, json!({"namespace": "n"})), shown);
}

#[test]
fn what_is_unknown_or_deleted_is_not_found() {
    let world = World::new();
    let id = namespace(&world, "gone");
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "gone"}));
    let covered = world.root_key(&[format!("ratelimit.{id}.read_namespace")]);
    for client in [&world.admin, &covered] {
        for name in ["gone", id.as_str()] {
            client.call(GET, json!({"namespace": name})).refused(404, "unkey/data/ratelimit_namespace_not_found");
        }
    }
    for name in ["never", "Gone", " gone", "rlns_x"] {
        world.admin.call(GET, json!({"namespace": name})).refused(404, "unkey/data/ratelimit_namespace_not_found");
    }
}
