//! Which of several overrides applies (ratelimit.md "Matching", decisions.md #42).

use crate::harness::World;
use crate::ratelimit::ask;
use crate::ratelimit::ask_with;
use crate::ratelimit::namespace;
use crate::ratelimit::set_override;
use serde_json::json;

/// The limit that an identifier has, as `limit` and `getOverride` say; 1 is that of the request.
fn limit_of(world: &World<'_>, identifier: &str) -> i64 {
    let data = world.admin.ok("ratelimit.limit", ask_with(ask("n", identifier, 1), json!({"cost": 0})));
    let shown = world.admin.call("ratelimit.getOverride", json!({"namespace": "n", "identifier": identifier}));
    match data["overrideId"].as_str() {
        Some(id) => assert_eq!((&shown.data()["overrideId"], &shown.data()["limit"]), (&json!(id), &data["limit"])),
        None => {
            shown.refused(404, "unkey/data/ratelimit_override_not_found");
        }
    }
    data["limit"].as_i64().unwrap()
}

#[test]
fn exactly_the_identifier_comes_first_and_then_the_most_literal_pattern() {
    let world = World::new();
    namespace(&world, "n");
    // In an order that is neither that of the ids nor that of the texts.
    let overrides = [("*", 10), ("*@acme.com", 20), ("jane@acme.com", 30), ("jane@*", 40), ("a*", 50), ("*b", 60)];
    for (identifier, limit) in overrides {
        set_override(&world, "n", identifier, limit);
    }
    for (identifier, expected) in [
        ("jane@acme.com", 30),
        ("joe@acme.com", 20),
        ("jane@other.org", 40),
        ("JANE@ACME.COM", 10),
        ("ab", 60),
        ("abc", 50),
        ("b", 60),
        ("anyone", 50),
        ("someone", 10),
        ("*@acme.com", 20),
        ("*", 10),
        ("two\nlines", 1),
        ("x\n@acme.com", 1),
    ] {
        assert_eq!(limit_of(&world, identifier), expected, "{identifier:?}");
    }
}

#[test]
fn everything_but_the_star_is_literal() {
    let world = World::new();
    namespace(&world, "n");
    for (limit, identifier) in (10..).zip(["100%*", "a_c*", r"back\*", "dot.*", "q?*", "[x]*", "(a|b)*", "'; --*"]) {
        set_override(&world, "n", identifier, limit);
    }
    for (identifier, expected) in [
        ("100%", 10),
        ("100 of 100", 1),
        ("a_c", 11),
        ("abc", 1),
        (r"back\slash", 12),
        ("back*", 1),
        ("dot.com", 13),
        ("dotcom", 1),
        ("q?", 14),
        ("qa", 1),
        ("[x]", 15),
        ("x", 1),
        ("(a|b)", 16),
        ("a", 1),
        ("'; --", 17),
    ] {
        assert_eq!(limit_of(&world, identifier), expected, "{identifier:?}");
    }
}

#[test]
fn overrides_of_other_namespaces_do_not_apply() {
    let world = World::new();
    for name in ["n", "m"] {
        namespace(&world, name);
    }
    set_override(&world, "m", "*", 10);
    set_override(&world, "m", "a", 20);
    assert_eq!(limit_of(&world, "a"), 1);
}
