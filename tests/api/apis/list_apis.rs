//! `apis.listApis`.

use crate::harness::World;
use serde_json::Value;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";

fn named(world: &World<'_>, name: &str) -> String {
    world.admin.ok("apis.createApi", json!({"name": name}))["apiId"].as_str().unwrap().to_owned()
}

fn values(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|api| api[field].as_str().unwrap().to_owned()).collect()
}

/// Names of the APIs that a search finds, in order.
fn found(world: &World<'_>, search: &str) -> Vec<String> {
    values(&world.admin.ok("apis.listApis", json!({"search": search})), "name")
}

/// All pages, one after the other.
fn walk(world: &World<'_>, mut request: Value) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let answer = world.admin.call("apis.listApis", request.clone());
        assert_eq!(answer.status, 200, "{}", answer.text);
        pages.push(values(answer.data(), "id"));
        let Some(cursor) = answer.body["pagination"].get("cursor") else { return pages };
        request["cursor"] = cursor.clone();
    }
}

#[test]
fn nothing_is_an_empty_list() {
    let answer = World::new().admin.call("apis.listApis", json!({}));
    assert_eq!(answer.data(), &json!([]));
    assert_eq!(answer.body["pagination"], json!({"hasMore": false}));
}

#[test]
fn the_list_shows_the_workspaces_live_apis_as_get_api_does() {
    let (world, other) = (World::new(), World::new());
    other.api();
    let first = world.api_with(json!({"defaultPrefix": "sk", "defaultBytes": 20, "ipWhitelist": ["::1"]}));
    let deleted = world.api();
    let protected = world.api_with(json!({"deleteProtection": true, "recoverable": true}));
    world.admin.ok("apis.deleteApi", json!({"apiId": deleted}));
    let listed = world.admin.ok("apis.listApis", json!({}));
    let one = |id: &str| world.admin.ok("apis.getApi", json!({"apiId": id}));
    assert_eq!(listed, json!([one(&first), one(&protected)]));
}

#[test]
fn pages_hold_every_api_once_in_the_order_of_creation() {
    let world = World::new();
    let ids: Vec<_> = (0..7).map(|_| world.api()).collect();
    for limit in 1..=8 {
        let pages = walk(&world, json!({"limit": limit}));
        assert_eq!(pages.concat(), ids, "limit {limit}");
        let (last, full) = pages.split_last().unwrap();
        assert!(full.iter().all(|page| page.len() == limit) && (1..=limit).contains(&last.len()), "{pages:?}");
    }
}

#[test]
fn a_page_has_1_to_100_apis_and_100_if_nothing_is_said() {
    let world = World::new();
    (0..101).for_each(|_| drop(world.api()));
    for (request, length) in
        [(json!({}), 100), (json!({"limit": 100}), 100), (json!({"limit": 99}), 99), (json!({"limit": 1}), 1)]
    {
        let answer = world.admin.call("apis.listApis", request);
        assert_eq!(answer.data().as_array().unwrap().len(), length);
        assert_eq!(answer.body["pagination"]["hasMore"], true);
    }
    for limit in [json!(0), json!(-1), json!(101), json!(1.5), json!(1.0), json!("1"), json!(null), json!(u64::MAX)] {
        let answer = world.admin.call("apis.listApis", json!({"limit": limit}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body.limit"], "{limit}");
    }
}

#[test]
fn a_cursor_is_the_first_row_of_the_next_page() {
    let world = World::new();
    let ids: Vec<_> = (0..4).map(|_| world.api()).collect();
    let answer = world.admin.call("apis.listApis", json!({"limit": 2}));
    assert_eq!(answer.body["pagination"], json!({"hasMore": true, "cursor": ids[2]}));
    // Deleting it is harmless, and what is added meanwhile comes last.
    world.admin.ok("apis.deleteApi", json!({"apiId": ids[2]}));
    let added = world.api();
    let rest = world.admin.ok("apis.listApis", json!({"cursor": ids[2]}));
    assert_eq!(values(&rest, "id"), [ids[3].clone(), added]);
}

#[test]
fn any_text_is_a_cursor() {
    let world = World::new();
    let id = world.api();
    let long = "a".repeat(1024);
    for (cursor, length) in [
        ("", 1),
        ("0", 1),
        ("api_", 1),
        (long.as_str(), 1),
        ("zzz", 0),
        ("'; --", 1),
        ("🔑", 0),
        ("api_%", 1),
        (&id, 1),
    ] {
        let answer = world.admin.call("apis.listApis", json!({"cursor": cursor}));
        assert_eq!(answer.data().as_array().map(Vec::len), Some(length), "{cursor}: {}", answer.text);
        assert_eq!(answer.body["pagination"], json!({"hasMore": false}));
    }
    for cursor in [json!("a".repeat(1025)), json!(null), json!(1)] {
        let answer = world.admin.call("apis.listApis", json!({"cursor": cursor}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body.cursor"]);
    }
}

#[test]
fn a_cursor_of_another_workspace_shows_nothing_of_it() {
    let (world, other) = (World::new(), World::new());
    let theirs = other.api();
    let mine = world.api();
    assert_eq!(values(&world.admin.ok("apis.listApis", json!({"cursor": theirs})), "id"), [mine]);
}

#[test]
fn a_search_finds_names_in_any_letter_case() {
    let world = World::new();
    for name in ["Payments EU", "repayment", "billing", "ÄPFEL"] {
        named(&world, name);
    }
    assert_eq!(found(&world, "PAY"), ["Payments EU", "repayment"]);
    assert_eq!(found(&world, "ments eu"), ["Payments EU"]);
    assert_eq!(found(&world, "ÄPF"), ["ÄPFEL"]);
    assert_eq!(found(&world, "nothing like it"), [""; 0]);
    // A search is for names; every id would hold this.
    assert_eq!(found(&world, "api_"), [""; 0]);
}

#[test]
fn a_search_takes_wildcards_as_they_stand() {
    let world = World::new();
    for name in ["100% sure", "100 sure", "snake_case", "snakeXcase", "back\\slash", "back slash", "it's"] {
        named(&world, name);
    }
    for (search, name) in [
        ("%", "100% sure"),
        ("0%", "100% sure"),
        ("_", "snake_case"),
        ("e_c", "snake_case"),
        ("\\", "back\\slash"),
        ("k\\s", "back\\slash"),
        ("'", "it's"),
    ] {
        assert_eq!(found(&world, search), [name], "{search}");
    }
    for search in ["\\%", "\\_", "%%", "__", "\\\\", ".*"] {
        assert_eq!(found(&world, search), [""; 0], "{search}");
    }
}

#[test]
fn a_blank_search_filters_nothing_and_blanks_around_it_do_not_count() {
    let world = World::new();
    named(&world, "one two");
    named(&world, "three");
    for search in ["", " ", "\t \n", &" ".repeat(256)] {
        assert_eq!(found(&world, search), ["one two", "three"], "{search:?}");
    }
    assert_eq!(found(&world, "  THREE\n"), ["three"]);
    assert_eq!(found(&world, "one two"), ["one two"]);
    assert_eq!(found(&world, "one  two"), [""; 0]);
}

#[test]
fn a_search_has_at_most_256_characters() {
    let world = World::new();
    let name = "🔑".repeat(256);
    named(&world, &name);
    assert_eq!(found(&world, &name), [name.as_str()]);
    for search in [json!("x".repeat(257)), json!(" ".repeat(257)), json!(null), json!(1), json!(["x"])] {
        let answer = world.admin.call("apis.listApis", json!({"search": search}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body.search"]);
    }
}

#[test]
fn a_search_is_paged_like_everything() {
    let world = World::new();
    let ids: Vec<_> = (0..9).map(|n| named(&world, if n % 2 == 0 { "even one" } else { "odd one" })).collect();
    let even: Vec<_> = ids.into_iter().step_by(2).collect();
    let pages = walk(&world, json!({"limit": 2, "search": "EVEN"}));
    assert_eq!(pages, [even[..2].to_vec(), even[2..4].to_vec(), even[4..].to_vec()]);
}

#[test]
fn unknown_fields_and_no_body_are_refused() {
    let world = World::new();
    let answer = world.admin.call("apis.listApis", json!({"Limit": 1, "name": "x"}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations(), ["body.Limit", "body.name"]);
    world.admin.post("/v2/apis.listApis", "application/json", "").refused(400, INVALID);
}

#[test]
fn the_body_is_judged_before_the_permission_and_listing_changes_nothing() {
    let world = World::new();
    world.api();
    let nobody = world.root_key::<&str>(&[]);
    let before = world.everything();
    nobody.call("apis.listApis", json!({"limit": 0})).refused(400, INVALID);
    nobody.call("apis.listApis", json!({})).refused(403, "unkey/authorization/insufficient_permissions");
    world.admin.ok("apis.listApis", json!({"search": "x", "limit": 3}));
    assert_eq!(before, world.everything());
}
