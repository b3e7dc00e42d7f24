//! `apis.deleteApi`.

use crate::harness::World;
use crate::harness::soon;
use serde_json::Value;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";
const NOT_FOUND: &str = "unkey/data/api_not_found";
const PROTECTED: &str = "unkey/application/protected_resource";
const FORBIDDEN: &str = "unkey/authorization/insufficient_permissions";

fn sealed(world: &World<'_>) -> Vec<Value> {
    world.rows("SELECT key_id FROM sealed_keys WHERE workspace_id = $ws ORDER BY key_id")
}

#[test]
fn a_deleted_api_is_gone_for_every_operation() {
    let world = World::new();
    let api = world.api();
    assert_eq!(world.admin.ok("apis.deleteApi", json!({"apiId": api})), json!({}));
    for (operation, body) in [
        ("apis.deleteApi", json!({"apiId": api})),
        ("apis.getApi", json!({"apiId": api})),
        ("apis.updateApi", json!({"apiId": api, "name": "back again"})),
        ("apis.listKeys", json!({"apiId": api})),
        ("keys.createKey", json!({"apiId": api})),
    ] {
        world.admin.call(operation, body).refused(404, NOT_FOUND);
    }
    assert_eq!(world.admin.ok("apis.listApis", json!({})), json!([]));
    assert_eq!(world.audit(), ["api.create", "api.delete"]);
}

#[test]
fn the_keys_of_a_deleted_api_are_gone_at_once() {
    let world = World::new();
    let (api, other) = (world.api(), world.api());
    let key = world.key(&api, json!({"name": "gone"}));
    let disabled = world.key(&api, json!({"enabled": false}));
    let stays = world.key(&other, json!({}));
    // Whatever is remembered of them is remembered now.
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    assert_eq!(world.verdict(&disabled.plaintext), "DISABLED");
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    for gone in [&key, &disabled] {
        assert_eq!(world.verify(&gone.plaintext), json!({"valid": false, "code": "NOT_FOUND"}));
        for (operation, body) in [
            ("keys.getKey", json!({"keyId": gone.id})),
            ("keys.whoami", json!({"key": gone.plaintext})),
            ("keys.updateKey", json!({"keyId": gone.id, "enabled": true})),
            ("keys.rerollKey", json!({"keyId": gone.id, "expiration": 0})),
            ("keys.deleteKey", json!({"keyId": gone.id})),
        ] {
            world.admin.call(operation, body).refused(404, "unkey/data/key_not_found");
        }
    }
    assert_eq!(world.verdict(&stays.plaintext), "VALID");
    assert_eq!(world.get_key(&stays.id)["keyId"], stays.id);
}

#[test]
fn the_keys_are_gone_on_every_node() {
    let world = World::new();
    let second = crate::harness::server::Options::default().start();
    let there = crate::harness::Client::new(second.url()).bearer(world.admin.root_key());
    let api = world.api();
    let key = world.key(&api, json!({})).plaintext;
    assert_eq!(there.ok("keys.verifyKey", json!({"key": key}))["code"], "VALID");
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    soon(json!("NOT_FOUND"), || there.ok("keys.verifyKey", json!({"key": key}))["code"].clone());
}

#[test]
fn sealed_copies_are_erased() {
    let world = World::new();
    let (api, other) = (world.api_with(json!({"recoverable": true})), world.api_with(json!({"recoverable": true})));
    world.key(&api, json!({"recoverable": true}));
    world.key(&api, json!({"recoverable": true}));
    let stays = world.key(&other, json!({"recoverable": true}));
    assert_eq!(sealed(&world).len(), 3);
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    assert_eq!(sealed(&world), [json!({"key_id": stays.id})]);
    let data = world.admin.ok("keys.getKey", json!({"keyId": stays.id, "decrypt": true}));
    assert_eq!(data["plaintext"], stays.plaintext);
}

#[test]
fn a_protected_api_is_not_deleted() {
    let world = World::new();
    let api = world.api_with(json!({"deleteProtection": true, "recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let before = world.everything();
    let answer = world.admin.call("apis.deleteApi", json!({"apiId": api}));
    answer.refused(412, PROTECTED);
    assert_eq!(answer.body["error"]["title"], "Resource is protected");
    assert_eq!(before, world.everything());
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    world.admin.ok("apis.updateApi", json!({"apiId": api, "deleteProtection": false}));
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    assert_eq!(world.verdict(&key.plaintext), "NOT_FOUND");
}

#[test]
fn bad_bodies_come_before_permission_before_existence_before_protection() {
    let world = World::new();
    let protected = world.api_with(json!({"deleteProtection": true}));
    let nobody = world.root_key(&["api.*.read_api", "api.*.update_api"]);
    nobody.call("apis.deleteApi", json!({"apiId": "short"})).refused(400, INVALID);
    for id in [protected.as_str(), "api_unknown"] {
        let answer = nobody.call("apis.deleteApi", json!({"apiId": id}));
        answer.refused(403, FORBIDDEN);
        let alternatives = format!("'api.*.delete_api' or 'api.{id}.delete_api'");
        assert!(answer.detail().contains(&alternatives), "{}", answer.detail());
    }
    world.admin.call("apis.deleteApi", json!({"apiId": "api_unknown"})).refused(404, NOT_FOUND);
    world.admin.call("apis.deleteApi", json!({"apiId": protected})).refused(412, PROTECTED);
    // A protected API of another workspace does not exist here.
    World::new().admin.call("apis.deleteApi", json!({"apiId": protected})).refused(404, NOT_FOUND);
}

#[test]
fn an_id_is_all_that_is_taken() {
    let world = World::new();
    let api = world.api();
    for id in ["12345678", &"a".repeat(255)] {
        world.admin.call("apis.deleteApi", json!({"apiId": id})).refused(404, NOT_FOUND);
    }
    let before = world.everything();
    for (body, place) in [
        (json!({}), "body.apiId"),
        (json!({"apiId": null}), "body.apiId"),
        (json!({"apiId": [api]}), "body.apiId"),
        (json!({"apiId": "1234567"}), "body.apiId"),
        (json!({"apiId": "a".repeat(256)}), "body.apiId"),
        (json!({"apiId": "api-1234567"}), "body.apiId"),
        (json!({"apiId": api, "permanent": true}), "body.permanent"),
    ] {
        let answer = world.admin.call("apis.deleteApi", body.clone());
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), [place], "{body}");
    }
    assert_eq!(before, world.everything());
}

#[test]
fn the_audit_log_tells_who_deleted_what_in_which_request() {
    let world = World::new();
    let api = world.api();
    world.key(&api, json!({}));
    let (root_key, client) = world.root_key_until(&[format!("api.{api}.delete_api")], None);
    let answer = client.call("apis.deleteApi", json!({"apiId": api}));
    let rows = world.rows(&format!(
        "SELECT event, correlation_id, resources FROM audit_log WHERE workspace_id = $ws AND actor_id = '{root_key}'"
    ));
    let expected = json!({
        "event": "api.delete",
        "correlation_id": answer.body["meta"]["requestId"],
        "resources": [{"type": "api", "id": api, "name": "test api"}],
    });
    assert_eq!(rows, [expected]);
}

#[test]
fn of_many_who_delete_at_once_one_did_it() {
    let world = World::new();
    let api = world.api();
    let mut statuses: Vec<_> = std::thread::scope(|scope| {
        let call = || world.admin.call("apis.deleteApi", json!({"apiId": api})).status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404, 404, 404, 404, 404]);
    assert_eq!(world.audit(), ["api.create", "api.delete"]);
}

#[test]
fn a_key_that_was_created_while_its_api_was_deleted_is_gone_with_it() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let create = || {
            let calls = (0..8).map(|_| world.admin.call("keys.createKey", json!({"apiId": api, "recoverable": true})));
            calls.collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
        world.admin.ok("apis.deleteApi", json!({"apiId": api}));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for answer in answers {
        match answer.status {
            200 => assert_eq!(world.verdict(answer.data()["key"].as_str().unwrap()), "NOT_FOUND"),
            _ => {
                answer.refused(404, NOT_FOUND);
            }
        }
    }
    assert_eq!(sealed(&world), [Value::Null; 0]);
}
