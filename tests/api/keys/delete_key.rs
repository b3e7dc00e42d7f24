//! `keys.deleteKey`.

use crate::harness::World;
use serde_json::json;

const NOT_FOUND: &str = "unkey/data/key_not_found";

#[test]
fn a_deleted_key_is_gone_for_every_operation() {
    for permanent in [false, true] {
        let world = World::new();
        let api = world.api();
        let key = world.key(&api, json!({}));
        let data = world.admin.ok("keys.deleteKey", json!({"keyId": key.id, "permanent": permanent}));
        assert_eq!(data, json!({}));
        assert_eq!(world.verdict(&key.plaintext), "NOT_FOUND");
        for (operation, body) in [
            ("keys.getKey", json!({"keyId": key.id})),
            ("keys.whoami", json!({"key": key.plaintext})),
            ("keys.updateKey", json!({"keyId": key.id, "enabled": true})),
            ("keys.rerollKey", json!({"keyId": key.id, "expiration": 0})),
            ("keys.deleteKey", json!({"keyId": key.id})),
            ("keys.deleteKey", json!({"keyId": key.id, "permanent": true})),
        ] {
            world.admin.call(operation, body).refused(404, NOT_FOUND);
        }
        assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api})), json!([]));
    }
}

#[test]
fn deleting_is_soft_unless_asked_otherwise() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    world.admin.ok("keys.deleteKey", json!({"keyId": key.id}));
    let rows = world.rows("SELECT id, deleted_at IS NOT NULL AS deleted FROM keys WHERE workspace_id = $ws");
    assert_eq!(rows, [json!({"id": key.id, "deleted": true})]);
    assert!(world.rows("SELECT key_id FROM sealed_keys WHERE workspace_id = $ws").is_empty(), "no plaintext remains");
}

#[test]
fn a_permanent_deletion_erases_the_row_and_frees_the_hash() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let hash = world.rows("SELECT encode(hash, 'hex') AS hash FROM keys WHERE workspace_id = $ws")[0]["hash"].clone();
    world.admin.ok("keys.deleteKey", json!({"keyId": key.id, "permanent": true}));
    assert!(world.rows("SELECT id FROM keys WHERE workspace_id = $ws").is_empty());
    assert!(world.rows("SELECT key_id FROM sealed_keys WHERE workspace_id = $ws").is_empty());

    let heir = world.key(&api, json!({}));
    world.execute(&format!(
        "UPDATE keys SET hash = decode('{}', 'hex') WHERE id = '{}'",
        hash.as_str().unwrap(),
        heir.id
    ));
    assert_eq!(world.verify(&key.plaintext)["keyId"], json!(heir.id), "the hash may be stored again");
}

#[test]
fn unknown_and_foreign_keys_are_the_same_404_and_stay() {
    let world = World::new();
    let stranger = World::new();
    let foreign = stranger.key(&stranger.api(), json!({}));
    let unknown = world.admin.call("keys.deleteKey", json!({"keyId": "key_that_never_was"}));
    let other = world.admin.call("keys.deleteKey", json!({"keyId": foreign.id}));
    unknown.refused(404, NOT_FOUND);
    assert_eq!(unknown.without_request_id(), other.without_request_id());
    assert_eq!(stranger.verdict(&foreign.plaintext), "VALID");
}

#[test]
fn a_key_of_a_deleted_api_is_deleted_already() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    world.admin.call("keys.deleteKey", json!({"keyId": key.id, "permanent": true})).refused(404, NOT_FOUND);
}

#[test]
fn deleting_one_key_leaves_the_others_alone() {
    let world = World::new();
    let api = world.api();
    let (gone, stays) = (world.key(&api, json!({})), world.key(&api, json!({})));
    let before = world.get_key(&stays.id);
    world.admin.ok("keys.deleteKey", json!({"keyId": gone.id, "permanent": true}));
    assert_eq!(world.get_key(&stays.id), before);
    assert_eq!(world.verdict(&stays.plaintext), "VALID");
}

#[test]
fn each_deletion_is_audited_once() {
    let world = World::new();
    let api = world.api();
    let (soft, hard) = (world.key(&api, json!({"name": "soft"})), world.key(&api, json!({})));
    let answer = world.admin.call("keys.deleteKey", json!({"keyId": soft.id}));
    world.admin.ok("keys.deleteKey", json!({"keyId": hard.id, "permanent": true}));
    world.admin.call("keys.deleteKey", json!({"keyId": soft.id})).refused(404, NOT_FOUND);
    assert_eq!(world.audit(), ["api.create", "key.create", "key.create", "key.delete", "key.delete"]);
    let rows = world.rows(
        "SELECT correlation_id, resources FROM audit_log WHERE workspace_id = $ws AND event = 'key.delete' ORDER BY id",
    );
    assert_eq!(rows[0]["correlation_id"], answer.body["meta"]["requestId"]);
    assert_eq!(rows[0]["resources"][0], json!({"type": "key", "id": soft.id, "name": "soft"}));
    assert_eq!(rows[0]["resources"][1]["id"], json!(api));
}

#[test]
fn of_deletions_at_the_same_time_one_succeeds() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    let mut statuses: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| world.admin.call("keys.deleteKey", json!({"keyId": key.id})).status))
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404]);
}

#[test]
fn malformed_requests_are_refused() {
    let world = World::new();
    for (body, location) in [
        (json!({}), "body.keyId"),
        (json!({"keyId": null}), "body.keyId"),
        (json!({"keyId": "ab"}), "body.keyId"),
        (json!({"keyId": "key-1"}), "body.keyId"),
        (json!({"keyId": "k".repeat(256)}), "body.keyId"),
        (json!({"keyId": "key_1", "permanent": null}), "body.permanent"),
        (json!({"keyId": "key_1", "permanent": "true"}), "body.permanent"),
        (json!({"keyId": "key_1", "Permanent": true}), "body.Permanent"),
    ] {
        let answer = world.admin.call("keys.deleteKey", body);
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), [location]);
    }
}
