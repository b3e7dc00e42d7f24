//! `ratelimit.deleteOverride`.

use crate::harness::World;
use crate::ratelimit::ask;
use crate::ratelimit::limited;
use crate::ratelimit::namespace;
use crate::ratelimit::set_override;
use serde_json::json;

const DELETE: &str = "ratelimit.deleteOverride";

#[test]
fn from_then_on_the_next_best_applies() {
    let world = World::new();
    namespace(&world, "n");
    set_override(&world, "n", "a", 10);
    set_override(&world, "n", "*", 20);
    let left = || limited(&world.admin, ask("n", "a", 30)).1;
    assert_eq!(left(), 9);
    assert_eq!(world.admin.ok(DELETE, json!({"namespace": "n", "identifier": "a"})), json!({}));
    assert_eq!(left(), 18);
    world.admin.ok(DELETE, json!({"namespace": "n", "identifier": "*"}));
    assert_eq!(left(), 27);
    let audit = world.audit();
    assert_eq!(audit.iter().filter(|event| *event == "ratelimit.delete_override").count(), 2);
}

#[test]
fn only_exactly_this_text_is_deleted() {
    let world = World::new();
    namespace(&world, "n");
    set_override(&world, "n", "a*", 10);
    let before = world.everything();
    for identifier in ["abc", "a", "A*", "*", "a* "] {
        let answer = world.admin.call(DELETE, json!({"namespace": "n", "identifier": identifier}));
        answer.refused(404, "unkey/data/ratelimit_override_not_found");
    }
    assert_eq!(before, world.everything());
    world.admin.ok(DELETE, json!({"namespace": "n", "identifier": "a*"}));
    let again = world.admin.call(DELETE, json!({"namespace": "n", "identifier": "a*"}));
    again.refused(404, "unkey/data/ratelimit_override_not_found");
}

#[test]
fn of_a_namespace_that_is_not_there_nothing_is_deleted() {
    let world = World::new();
    namespace(&world, "n");
    set_override(&world, "n", "a", 10);
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "n"}));
    let before = world.everything();
    for name in ["n", "never"] {
        let answer = world.admin.call(DELETE, json!({"namespace": name, "identifier": "a"}));
        answer.refused(404, "unkey/data/ratelimit_namespace_not_found");
    }
    assert_eq!(before, world.everything());
}
