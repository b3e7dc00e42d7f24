//! `apis.listKeys`.

use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::server::Options;
use serde_json::Value;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";
const NOT_FOUND: &str = "unkey/data/api_not_found";
const FORBIDDEN: &str = "unkey/authorization/insufficient_permissions";
const PRECONDITION: &str = "unkey/application/precondition_failed";

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|key| key["keyId"].as_str().unwrap().to_owned()).collect()
}

fn list(world: &World<'_>, api: &str) -> Value {
    world.admin.ok("apis.listKeys", json!({"apiId": api}))
}

#[test]
fn no_keys_are_an_empty_list() {
    let world = World::new();
    let answer = world.admin.call("apis.listKeys", json!({"apiId": world.api()}));
    assert_eq!(answer.data(), &json!([]));
    assert_eq!(answer.body["pagination"], json!({"hasMore": false}));
}

#[test]
fn live_keys_of_the_api_are_listed_as_get_key_shows_them() {
    let world = World::new();
    let (api, other) = (world.api(), world.api());
    world.key(&other, json!({}));
    let made: Vec<MadeKey> = [
        json!({"name": "full", "prefix": "sk_live", "meta": {"a": [1, {"b": null}]}, "expires": 4_102_444_800_000_i64}),
        json!({}),
        json!({"enabled": false}),
        json!({"expires": 1}),
        json!({"meta": {}}),
    ]
    .into_iter()
    .map(|fields| world.key(&api, fields))
    .collect();
    for permanent in [false, true] {
        let deleted = world.key(&api, json!({}));
        world.admin.ok("keys.deleteKey", json!({"keyId": deleted.id, "permanent": permanent}));
    }
    let expected: Vec<_> = made.iter().map(|key| world.get_key(&key.id)).collect();
    assert_eq!(list(&world, &api), json!(expected));
}

#[test]
fn a_key_is_listed_as_soon_as_it_is_made() {
    let world = World::new();
    let api = world.api();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(world.key(&api, json!({})).id);
        assert_eq!(ids(&list(&world, &api)), made);
    }
}

#[test]
fn pages_hold_every_key_once_in_the_order_of_ids() {
    let world = World::new();
    let api = world.api();
    let made: Vec<_> = (0..7).map(|_| world.key(&api, json!({})).id).collect();
    assert!(made.is_sorted());
    for limit in 1..=8 {
        let (mut seen, mut request) = (Vec::new(), json!({"apiId": api, "limit": limit}));
        loop {
            let answer = world.admin.call("apis.listKeys", request.clone());
            let page = ids(answer.data());
            assert!(page.len() <= limit, "{page:?}");
            seen.extend(page);
            let Some(cursor) = answer.body["pagination"].get("cursor") else { break };
            assert_eq!(cursor, &json!(made[seen.len()]), "the cursor is the first row of the next page");
            request["cursor"] = cursor.clone();
        }
        assert_eq!(seen, made, "limit {limit}");
    }
}

#[test]
fn a_page_has_1_to_100_keys_and_100_if_nothing_is_said() {
    let world = World::new();
    let api = world.api();
    (0..101).for_each(|_| drop(world.key(&api, json!({}))));
    for (limit, length) in [(None, 100), (Some(100), 100), (Some(1), 1)] {
        let mut request = json!({"apiId": api});
        if let Some(limit) = limit {
            request["limit"] = json!(limit);
        }
        let answer = world.admin.call("apis.listKeys", request);
        assert_eq!(answer.data().as_array().unwrap().len(), length);
        assert_eq!(answer.body["pagination"]["hasMore"], true);
    }
}

#[test]
fn deleting_the_cursor_row_is_harmless_and_any_text_is_a_cursor() {
    let world = World::new();
    let (api, other) = (world.api(), world.api());
    let foreign = world.key(&other, json!({})).id;
    let made: Vec<_> = (0..3).map(|_| world.key(&api, json!({})).id).collect();
    world.admin.ok("keys.deleteKey", json!({"keyId": made[1], "permanent": true}));
    for (cursor, expected) in [
        (made[1].as_str(), &made[2..]),
        (&foreign, &[made[0].clone(), made[2].clone()]),
        ("", &[made[0].clone(), made[2].clone()]),
        ("'); --", &[made[0].clone(), made[2].clone()]),
        ("zzz", &[]),
        ("🔑", &[]),
        (&"z".repeat(1024), &[]),
    ] {
        let found = world.admin.ok("apis.listKeys", json!({"apiId": api, "cursor": cursor}));
        assert_eq!(ids(&found), expected, "{cursor}");
    }
}

#[test]
fn a_malformed_id_is_one_that_does_not_exist() {
    let (world, other) = (World::new(), World::new());
    let deleted = world.api();
    world.admin.ok("apis.deleteApi", json!({"apiId": deleted}));
    let unknown = world.admin.call("apis.listKeys", json!({"apiId": "api_unknown"}));
    unknown.refused(404, NOT_FOUND);
    for id in [&deleted, &other.api(), "x", " ", "api-!?", "🔑", "%", "a\nb", &"a".repeat(100_000)] {
        let answer = world.admin.call("apis.listKeys", json!({"apiId": id}));
        assert_eq!(answer.without_request_id(), unknown.without_request_id(), "{id}");
    }
}

#[test]
fn wrong_fields_are_refused_where_they_stand() {
    let world = World::new();
    let api = world.api();
    for (field, value) in [
        ("apiId", json!("")),
        ("apiId", json!(null)),
        ("apiId", json!(7)),
        ("limit", json!(0)),
        ("limit", json!(101)),
        ("limit", json!(null)),
        ("limit", json!("10")),
        ("limit", json!(10.5)),
        ("cursor", json!(null)),
        ("cursor", json!(1)),
        ("cursor", json!("z".repeat(1025))),
        ("decrypt", json!(null)),
        ("decrypt", json!("true")),
        ("revalidateKeysCache", json!(null)),
        ("revalidateKeysCache", json!(1)),
        ("search", json!("x")),
        ("apiid", json!("x")),
        ("externalId", json!("")),
        ("externalId", json!(null)),
    ] {
        let mut body = json!({"apiId": api});
        body[field] = value;
        let answer = world.admin.call("apis.listKeys", body.clone());
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), [format!("body.{field}")], "{body}");
    }
    let answer = world.admin.call("apis.listKeys", json!({}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations(), ["body.apiId"]);
}

#[test]
fn revalidate_keys_cache_changes_nothing() {
    let world = World::new();
    let api = world.api();
    world.key(&api, json!({"name": "one"}));
    for revalidate in [true, false] {
        let data = world.admin.ok("apis.listKeys", json!({"apiId": api, "revalidateKeysCache": revalidate}));
        assert_eq!(data, list(&world, &api));
    }
}

#[test]
fn recoverable_keys_are_shown_only_when_asked_for() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let sealed = world.key(&api, json!({"recoverable": true, "prefix": "sk"}));
    let plain = world.key(&api, json!({}));
    let second = world.key(&api, json!({"recoverable": true, "enabled": false}));
    for body in [json!({"apiId": api}), json!({"apiId": api, "decrypt": false})] {
        let answer = world.admin.call("apis.listKeys", body);
        assert!(!answer.text.contains("plaintext") && !answer.text.contains(&sealed.plaintext));
    }
    let shown = world.admin.ok("apis.listKeys", json!({"apiId": api, "decrypt": true}));
    assert_eq!(ids(&shown), [sealed.id, plain.id, second.id]);
    assert_eq!(shown[0]["plaintext"], sealed.plaintext);
    assert_eq!(shown[1].get("plaintext"), None);
    assert_eq!(shown[2]["plaintext"], second.plaintext);
}

#[test]
fn showing_plaintexts_is_audited_one_row_a_key_and_listing_is_not() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let made = [world.key(&api, json!({"recoverable": true})), world.key(&api, json!({"recoverable": true}))];
    world.key(&api, json!({}));
    let third = world.key(&api, json!({"recoverable": true}));
    let before = world.everything();
    list(&world, &api);
    assert_eq!(before, world.everything());
    // The third recoverable key is on the next page: it is neither shown nor noted.
    let answer = world.admin.call("apis.listKeys", json!({"apiId": api, "decrypt": true, "limit": 3}));
    assert!(!answer.text.contains(&third.plaintext));
    let noted = |key: &MadeKey| json!({"correlation_id": answer.body["meta"]["requestId"], "resource": {"type": "key", "id": key.id}});
    let rows = world.rows(
        "SELECT correlation_id, resources -> 0 AS resource FROM audit_log \
         WHERE workspace_id = $ws AND event = 'key.decrypt' ORDER BY resources -> 0 ->> 'id' COLLATE \"C\"",
    );
    assert_eq!(rows, [noted(&made[0]), noted(&made[1])]);
}

#[test]
fn decrypt_is_refused_by_permission_then_existence_then_settings() {
    let world = World::new();
    let api = world.api();
    world.key(&api, json!({}));
    let decrypt = |api: &str| json!({"apiId": api, "decrypt": true});
    let reader = world.root_key(&["api.*.read_key", "api.*.read_api"]);
    reader.ok("apis.listKeys", json!({"apiId": api}));
    for id in [api.as_str(), "api_unknown"] {
        let answer = reader.call("apis.listKeys", decrypt(id));
        answer.refused(403, FORBIDDEN);
        assert!(answer.detail().contains("decrypt_key"), "{}", answer.detail());
    }
    world.admin.call("apis.listKeys", decrypt("api_unknown")).refused(404, NOT_FOUND);
    let answer = world.admin.call("apis.listKeys", decrypt(&api));
    answer.refused(412, PRECONDITION);
    assert!(answer.detail().contains("opted in"), "{}", answer.detail());
}

#[test]
fn read_permissions_of_either_kind_may_be_mixed() {
    let world = World::new();
    let api = world.api();
    world.key(&api, json!({}));
    let (key, one) = ("api.*.read_key".to_owned(), format!("api.{api}.read_api"));
    assert_eq!(ids(&world.root_key(&[key, one]).ok("apis.listKeys", json!({"apiId": api}))).len(), 1);
    world.root_key(&["api.*.read_key"]).call("apis.listKeys", json!({"apiId": api})).refused(403, FORBIDDEN);
    world.root_key::<&str>(&[]).call("apis.listKeys", json!({"apiId": ""})).refused(400, INVALID);
}

#[test]
fn the_last_use_is_shown() {
    let server = Options::default().start();
    let world = World::on(&server);
    let api = world.api();
    let key = world.key(&api, json!({}));
    assert_eq!(list(&world, &api)[0].get("lastUsedAt"), None);
    server.clock.advance(chrono::Duration::hours(1));
    let used = server.clock.now().timestamp_millis();
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    // Stopping in order writes what waits.
    server.stop();
    let second = Options::default().start();
    let there = crate::harness::Client::new(second.url()).bearer(world.admin.root_key());
    let at = there.ok("apis.listKeys", json!({"apiId": api}))[0]["lastUsedAt"].as_i64().unwrap();
    assert!((used..used + 60_000).contains(&at), "{at} {used}");
}
