//! `apis.createApi`.

use crate::harness::World;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";

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
    for name in ["abc", "   ", "päy·🔑", "🔑🔑🔑", "' OR 1=1; --", &"x".repeat(256), &"🔑".repeat(256)] {
        let id = world.admin.ok("apis.createApi", json!({"name": name}))["apiId"].clone();
        assert_eq!(world.admin.ok("apis.getApi", json!({"apiId": id}))["name"], name);
    }
    for name in ["", "ab", "🔑🔑", &"x".repeat(257), &"🔑".repeat(257)] {
        let answer = world.admin.call("apis.createApi", json!({"name": name}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body.name"]);
    }
}

#[test]
fn a_name_with_a_nul_is_refused_and_not_a_fault() {
    let world = World::new();
    let answer = world.admin.call("apis.createApi", json!({"name": "a\u{0}bc"}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations(), ["body.name"]);
}

#[test]
fn a_name_is_all_that_is_taken() {
    let world = World::new();
    let before = world.everything();
    for (body, places) in [
        (json!({}), vec!["body.name"]),
        (json!({"name": null}), vec!["body.name"]),
        (json!({"name": 123}), vec!["body.name"]),
        (json!({"name": ["abc"]}), vec!["body.name"]),
        (json!({"name": "abc", "id": "api_1"}), vec!["body.id"]),
        (json!({"name": "abc", "recoverable": true}), vec!["body.recoverable"]),
        (json!({"Name": "abc"}), vec!["body.Name", "body.name"]),
        (json!({"name": "ab", "x": 1, "y": null}), vec!["body.name", "body.x", "body.y"]),
        (json!([]), vec!["body"]),
        (json!(null), vec!["body"]),
        (json!("name"), vec!["body"]),
    ] {
        let answer = world.admin.call("apis.createApi", body.clone());
        answer.refused(400, INVALID);
        let mut found = answer.locations();
        found.sort_unstable();
        assert_eq!(found, places, "{body}");
    }
    assert_eq!(before, world.everything());
}

#[test]
fn a_new_api_has_no_settings() {
    let world = World::new();
    let id = world.api();
    let api = world.admin.ok("apis.getApi", json!({"apiId": id}));
    let created = api["createdAt"].clone();
    let expected = json!({
        "id": id, "name": "test api", "recoverable": false, "deleteProtection": false, "createdAt": created
    });
    assert_eq!(api, expected);
    let rows = world.rows(
        "SELECT default_prefix, default_bytes, ip_whitelist, updated_at, deleted_at FROM apis WHERE workspace_id = $ws",
    );
    let unset = json!({
        "default_prefix": null, "default_bytes": null, "ip_whitelist": [], "updated_at": null, "deleted_at": null
    });
    assert_eq!(rows, [unset]);
}

#[test]
fn the_audit_log_tells_who_created_what_in_which_request() {
    let world = World::new();
    let (root_key, client) = world.root_key_until(&["api.*.create_api"], None);
    let answer = client.header("user-agent", "audit test/1").call("apis.createApi", json!({"name": "payments"}));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let rows = world.rows(
        "SELECT event, actor_type, actor_id, actor_name, address, user_agent, correlation_id, resources \
         FROM audit_log WHERE workspace_id = $ws AND actor_type = 'rootkey'",
    );
    let expected = json!({
        "event": "api.create",
        "actor_type": "rootkey",
        "actor_id": root_key.to_string(),
        "actor_name": "test",
        "address": "127.0.0.1",
        "user_agent": "audit test/1",
        "correlation_id": answer.body["meta"]["requestId"],
        "resources": [{"type": "api", "id": answer.data()["apiId"], "name": "payments"}],
    });
    assert_eq!(rows, [expected]);
}

#[test]
fn the_body_is_judged_before_the_permission() {
    let world = World::new();
    let nobody = world.root_key::<&str>(&[]);
    let before = world.everything();
    nobody.call("apis.createApi", json!({"name": "ab"})).refused(400, INVALID);
    let answer = nobody.call("apis.createApi", json!({"name": "abc"}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    assert!(answer.detail().contains("'api.*.create_api'"), "{}", answer.detail());
    assert_eq!(before, world.everything());
}

#[test]
fn a_name_is_free_again_and_never_an_identifier() {
    let world = World::new();
    let id = world.admin.ok("apis.createApi", json!({"name": "api_payments"}))["apiId"].clone();
    world.admin.call("apis.getApi", json!({"apiId": "api_payments"})).refused(404, "unkey/data/api_not_found");
    world.admin.ok("apis.deleteApi", json!({"apiId": id}));
    assert_ne!(world.admin.ok("apis.createApi", json!({"name": "api_payments"}))["apiId"], id);
}

#[test]
fn apis_created_at_once_are_all_there() {
    let world = World::new();
    let ids: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| [world.api(), world.api()])).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 16);
    let listed = world.admin.ok("apis.listApis", json!({}));
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|api| api["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids.iter().map(String::as_str).collect::<Vec<_>>());
}
