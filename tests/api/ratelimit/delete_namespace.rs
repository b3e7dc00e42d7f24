//! `ratelimit.deleteNamespace`.

use crate::harness::World;
use crate::ratelimit::ask;
use crate::ratelimit::limited;
use crate::ratelimit::namespace;
use crate::ratelimit::set_override;
use serde_json::json;

const DELETE: &str = "ratelimit.deleteNamespace";

#[test]
fn it_is_gone_for_every_operation_and_its_name_stays_taken() {
    let world = World::new();
    let id = namespace(&world, "n");
    set_override(&world, "n", "a", 5);
    assert_eq!(world.admin.ok(DELETE, json!({"namespace": "n"})), json!({}));
    for name in ["n", id.as_str()] {
        world.admin.call("ratelimit.limit", ask(name, "a", 1)).refused(410, "unkey/data/ratelimit_namespace_gone");
        let of = json!({"namespace": name, "identifier": "a"});
        for (operation, body) in [
            ("ratelimit.getNamespace", json!({"namespace": name})),
            (DELETE, json!({"namespace": name})),
            ("ratelimit.setOverride", ask(name, "a", 1)),
            ("ratelimit.getOverride", of.clone()),
            ("ratelimit.deleteOverride", of),
            ("ratelimit.listOverrides", json!({"namespace": name})),
        ] {
            world.admin.call(operation, body).refused(404, "unkey/data/ratelimit_namespace_not_found");
        }
    }
    assert_eq!(world.admin.ok("ratelimit.listNamespaces", json!({})), json!([]));
    assert_eq!(
        world.audit(),
        ["ratelimitNamespace.create", "ratelimit.set_override", "ratelimitNamespace.delete"],
        "once"
    );
}

#[test]
fn others_live_on() {
    let world = World::new();
    let id = namespace(&world, "n");
    assert_eq!(limited(&world.admin, ask("m", "a", 2)), (true, 1));
    let client = world.root_key(&[format!("ratelimit.{id}.delete_namespace")]);
    client.call(DELETE, json!({"namespace": "m"})).refused(403, "unkey/authorization/insufficient_permissions");
    client.ok(DELETE, json!({"namespace": "n"}));
    assert_eq!(limited(&world.admin, ask("m", "a", 2)), (true, 0));
}
