//! `identities.deleteIdentity`.

use crate::harness::Answer;
use crate::harness::World;
use crate::identities::get;
use crate::identities::identity;
use crate::identities::role;
use serde_json::json;

const DELETE: &str = "identities.deleteIdentity";

fn delete(world: &World<'_>, name: &str) -> Answer {
    world.admin.call(DELETE, json!({"identity": name}))
}

#[test]
fn the_answer_has_no_data() {
    let world = World::new();
    let id = identity(&world, "customer");
    let answer = delete(&world, "customer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, json!({"meta": {"requestId": answer.body["meta"]["requestId"]}}));
    assert_eq!(world.audit(), ["identity.create", "identity.delete"]);
    let log = world.rows("SELECT * FROM audit_log WHERE workspace_id = $ws AND event = 'identity.delete'");
    assert_eq!(log[0]["correlation_id"], answer.body["meta"]["requestId"]);
    assert_eq!(log[0]["resources"], json!([{"type": "identity", "id": id, "name": "customer"}]));
}

#[test]
fn what_is_deleted_is_gone_for_every_operation() {
    let world = World::new();
    let id = identity(&world, "customer");
    delete(&world, &id);
    let before = world.everything();
    for name in [id.as_str(), "customer"] {
        for (operation, mut body) in [
            (DELETE, json!({})),
            ("identities.getIdentity", json!({})),
            ("identities.updateIdentity", json!({"enabled": true})),
            ("identities.setPermissions", json!({"permissions": ["a"]})),
            ("identities.setRoles", json!({"roles": ["a"]})),
        ] {
            body["identity"] = json!(name);
            world.admin.call(operation, body).refused(404, "unkey/data/identity_not_found");
        }
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn errors_are_problems_whatever_is_accepted() {
    let world = World::new();
    for accept in ["application/json", "text/html", "*/*"] {
        let admin = world.admin.clone().header("accept", accept);
        let anonymous = world.anonymous().header("accept", accept);
        let nobody = world.root_key::<&str>(&[]).header("accept", accept);
        for (answer, status) in [
            (admin.call(DELETE, json!({})), 400),
            (admin.post("/v1/identities.deleteIdentity", "text/plain", "x"), 400),
            (anonymous.call(DELETE, json!({"identity": "a"})), 401),
            (anonymous.bearer("keyward_root_unknown").call(DELETE, json!({"identity": "a"})), 401),
            (nobody.call(DELETE, json!({"identity": "a"})), 403),
            (admin.call(DELETE, json!({"identity": "a"})), 404),
        ] {
            assert_eq!(answer.status, status);
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{accept} {status}");
        }
    }
    let sibling = world.admin.clone().header("accept", "application/json");
    let answer = sibling.call("identities.getIdentity", json!({"identity": "a"}));
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[test]
fn keys_stay_valid_and_lose_their_owner_and_what_they_held_through_it() {
    let world = World::new();
    let api = world.api();
    role(&world, "writer", &["docs.write"]);
    let key = world.key(&api, json!({"externalId": "customer", "permissions": ["own"]}));
    world.admin.ok("identities.setPermissions", json!({"identity": "customer", "permissions": ["docs.read"]}));
    world.admin.ok("identities.setRoles", json!({"identity": "customer", "roles": ["writer"]}));
    assert_eq!(world.verify(&key.plaintext)["permissions"], json!(["docs.read", "docs.write", "own"]));
    delete(&world, "customer");
    let listed = world.admin.ok("apis.listKeys", json!({"apiId": api}));
    let verified = world.verify(&key.plaintext);
    assert_eq!(verified["code"], "VALID");
    for shown in [&verified, &world.get_key(&key.id), &listed[0]] {
        assert_eq!((shown.get("identity"), &shown["permissions"]), (None, &json!(["own"])), "{shown}");
    }
    let asked = world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "permissions": "docs.read"}));
    assert_eq!(asked["code"], "INSUFFICIENT_PERMISSIONS");
    assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api, "externalId": "customer"})), json!([]));
}

#[test]
fn keys_of_a_disabled_identity_are_valid_again_once_it_is_deleted() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"externalId": "customer"}));
    world.admin.ok("identities.updateIdentity", json!({"identity": "customer", "enabled": false}));
    assert_eq!(world.verdict(&key.plaintext), "FORBIDDEN");
    delete(&world, "customer");
    assert_eq!(world.verdict(&key.plaintext), "VALID");
}

#[test]
fn a_new_identity_of_the_same_name_is_another_one() {
    let world = World::new();
    let api = world.api();
    let old = world.key(&api, json!({"externalId": "customer"}));
    let former = get(&world, "customer")["id"].clone();
    world.admin.ok("identities.updateIdentity", json!({"identity": "customer", "meta": {"a": 1}}));
    for _ in 0..2 {
        assert_eq!(delete(&world, "customer").status, 200);
        let new = identity(&world, "customer");
        assert_ne!(former, new.as_str());
        assert_eq!(get(&world, "customer"), json!({"id": new, "externalId": "customer", "enabled": true}));
        assert_eq!(world.verify(&old.plaintext).get("identity"), None);
        assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api, "externalId": "customer"})), json!([]));
    }
    let key = world.key(&api, json!({"externalId": "customer"}));
    assert_eq!(world.get_key(&key.id)["identity"]["id"], get(&world, "customer")["id"]);
}

#[test]
fn of_racing_calls_one_deletes_and_the_others_find_nothing() {
    let world = World::new();
    identity(&world, "customer");
    let mut statuses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| delete(&world, "customer").status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404, 404, 404]);
    assert_eq!(world.audit(), ["identity.create", "identity.delete"]);
}
