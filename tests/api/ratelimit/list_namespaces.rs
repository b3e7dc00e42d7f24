//! `ratelimit.listNamespaces`.

use crate::harness::World;
use crate::ratelimit::namespace;
use serde_json::Value;
use serde_json::json;

const LIST: &str = "ratelimit.listNamespaces";

fn names(data: &Value) -> Vec<&str> {
    data.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn pages_are_ordered_by_id_and_hold_no_deleted_one() {
    let world = World::new();
    let ids: Vec<_> = (0..5).map(|i| namespace(&world, &format!("n{i}"))).collect();
    namespace(&world, "gone");
    world.admin.ok("ratelimit.deleteNamespace", json!({"namespace": "gone"}));
    let mut seen = Vec::new();
    let mut body = json!({"limit": 2});
    loop {
        let answer = world.admin.call(LIST, body.clone());
        seen.extend(answer.data().as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = answer.body["pagination"]["cursor"].as_str() else { break };
        body["cursor"] = json!(cursor);
    }
    assert_eq!(seen, ids);
    let first = world.admin.ok(LIST, json!({"limit": 1}));
    assert_eq!(first[0], world.admin.ok("ratelimit.getNamespace", json!({"namespace": "n0"})));
    assert_eq!(world.admin.call(LIST, json!({"limit": 5})).body["pagination"], json!({"hasMore": false}));
}

#[test]
fn search_finds_ids_and_names_in_any_letter_case() {
    let world = World::new();
    let id = namespace(&world, "Emails_1");
    namespace(&world, "emails.2");
    namespace(&world, "uploads");
    let found = |search: &str| {
        let data = world.admin.ok(LIST, json!({"search": search}));
        names(&data).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("EMAILS"), ["Emails_1", "emails.2"]);
    assert_eq!(found("  ils_1 "), ["Emails_1"]);
    assert_eq!(found(&id.to_ascii_lowercase()), ["Emails_1"]);
    assert_eq!(found(" ").len(), 3);
    for literal in ["%", "ils_2", "\\"] {
        assert_eq!(found(literal), [""; 0], "{literal}");
    }
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    for body in [json!({"limit": 100}), json!({"search": "x".repeat(256)}), json!({"cursor": "x".repeat(1024)})] {
        assert_eq!(world.admin.ok(LIST, body), json!([]));
    }
    for (field, value) in [
        ("limit", json!(0)),
        ("limit", json!(101)),
        ("search", json!("x".repeat(257))),
        ("cursor", json!("x".repeat(1025))),
        ("namespace", json!("x")),
    ] {
        let answer = world.admin.call(LIST, json!({field: value}));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [format!("body.{field}")]);
    }
}
