//! `apis.getApi`.

use crate::harness::World;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";
const NOT_FOUND: &str = "unkey/data/api_not_found";

#[test]
fn every_setting_is_shown() {
    let world = World::new();
    let settings = json!({
        "name": "payments",
        "defaultPrefix": "sk_live",
        "defaultBytes": 24,
        "recoverable": true,
        "deleteProtection": true,
        "ipWhitelist": ["192.0.2.7", "2001:db8::/32"],
    });
    let before = world.server.clock.now().timestamp_millis();
    let id = world.api_with(settings.clone());
    let after = world.server.clock.now().timestamp_millis();
    let mut api = world.admin.ok("apis.getApi", json!({"apiId": id}));
    assert!((before..=after).contains(&api["createdAt"].as_i64().unwrap()), "{api}");
    let fields = api.as_object_mut().unwrap();
    fields.remove("createdAt");
    assert_eq!(fields.remove("id").unwrap(), id);
    assert_eq!(api, settings);
}

#[test]
fn unknown_deleted_and_foreign_apis_are_the_same_404() {
    let (world, other) = (World::new(), World::new());
    let deleted = world.api();
    world.admin.ok("apis.deleteApi", json!({"apiId": deleted}));
    let unknown = world.admin.call("apis.getApi", json!({"apiId": "api_unknown"}));
    unknown.refused(404, NOT_FOUND);
    for id in [deleted, other.api()] {
        let answer = world.admin.call("apis.getApi", json!({"apiId": id}));
        assert_eq!(answer.without_request_id(), unknown.without_request_id());
    }
}

#[test]
fn an_id_has_8_to_255_letters_digits_and_underscores() {
    let world = World::new();
    for id in ["12345678", "________", "ABCDEFgh", &"a".repeat(255)] {
        world.admin.call("apis.getApi", json!({"apiId": id})).refused(404, NOT_FOUND);
    }
    for id in [
        "",
        "1234567",
        &"a".repeat(256),
        "api-123456",
        "api 123456",
        "api_1234\n",
        "äpi_123456",
        "api_%%%%%",
        "api_1234\0",
    ] {
        let answer = world.admin.call("apis.getApi", json!({"apiId": id}));
        answer.refused(400, INVALID);
        assert!(answer.locations().iter().all(|place| *place == "body.apiId"), "{id:?}: {}", answer.text);
    }
}

#[test]
fn an_id_is_all_that_is_taken() {
    let world = World::new();
    let id = world.api();
    for (body, place) in [
        (json!({}), "body.apiId"),
        (json!({"apiId": null}), "body.apiId"),
        (json!({"apiId": 12345678}), "body.apiId"),
        (json!({"apiId": {"id": id}}), "body.apiId"),
        (json!({"apiId": id, "name": "x"}), "body.name"),
        (json!({"apiId": id, "APIID": id}), "body.APIID"),
        (json!([id]), "body"),
    ] {
        let answer = world.admin.call("apis.getApi", body.clone());
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), [place], "{body}");
    }
}

#[test]
fn the_body_is_judged_before_the_permission_and_the_permission_before_the_lookup() {
    let world = World::new();
    let id = world.api();
    let nobody = world.root_key::<&str>(&[]);
    nobody.call("apis.getApi", json!({"apiId": "short"})).refused(400, INVALID);
    for id in [id.as_str(), "api_unknown"] {
        let answer = nobody.call("apis.getApi", json!({"apiId": id}));
        answer.refused(403, "unkey/authorization/insufficient_permissions");
        let alternatives = format!("'api.*.read_api' or 'api.{id}.read_api'");
        assert!(answer.detail().contains(&alternatives), "{}", answer.detail());
    }
    // Who may read just this one may not ask for another, there or not.
    let reader = world.root_key(&[format!("api.{id}.read_api")]);
    reader.ok("apis.getApi", json!({"apiId": id}));
    reader
        .call("apis.getApi", json!({"apiId": "api_unknown"}))
        .refused(403, "unkey/authorization/insufficient_permissions");
}

#[test]
fn reading_changes_nothing_and_is_not_audited() {
    let world = World::new();
    let id = world.api();
    let before = world.everything();
    world.admin.ok("apis.getApi", json!({"apiId": id}));
    world.admin.call("apis.getApi", json!({"apiId": "api_unknown"}));
    assert_eq!(before, world.everything());
}
