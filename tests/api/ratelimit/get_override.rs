//! `ratelimit.getOverride`. Which one applies is tested in `precedence`.

use crate::harness::World;
use crate::ratelimit::MONTH_MS;
use crate::ratelimit::id_of;
use crate::ratelimit::namespace;
use crate::ratelimit::set_override;
use serde_json::json;

const GET: &str = "ratelimit.getOverride";

#[test]
fn it_is_shown_as_it_was_set() {
    let world = World::new();
    namespace(&world, "n");
    let id = set_override(&world, "n", "a*", 7);
    let shown = json!({"overrideId": id, "identifier": "a*", "limit": 7, "duration": MONTH_MS});
    for name in ["n".to_owned(), id_of(&world, "n")] {
        for identifier in ["a*", "abc"] {
            assert_eq!(world.admin.ok(GET, json!({"namespace": name, "identifier": identifier})), shown);
        }
    }
}

#[test]
fn a_missing_one_and_a_missing_namespace_are_told_apart_for_who_may_read() {
    let world = World::new();
    let id = namespace(&world, "n");
    namespace(&world, "gone");
    set_override(&world, "gone", "a", 1);
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "gone"}));
    let get = |namespace: &str| json!({"namespace": namespace, "identifier": "a"});
    world.admin.call(GET, get("n")).refused(404, "unkey/data/ratelimit_override_not_found");
    for name in ["never", "gone"] {
        world.admin.call(GET, get(name)).refused(404, "unkey/data/ratelimit_namespace_not_found");
    }
    let covered = world.root_key(&[format!("ratelimit.{id}.read_override")]);
    covered.call(GET, get("n")).refused(404, "unkey/data/ratelimit_override_not_found");
    let refused = ["gone", "never"].map(|name| covered.call(GET, get(name)));
    refused[0].refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(refused[0].without_request_id(), refused[1].without_request_id());
}
