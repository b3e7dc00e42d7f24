//! `apis.updateApi`.

use crate::harness::World;
use crate::harness::server::Options;
use keyward::model::master_key::MasterKeys;
use serde_json::Value;
use serde_json::json;

const INVALID: &str = "unkey/application/invalid_input";
const NOT_FOUND: &str = "unkey/data/api_not_found";
const FORBIDDEN: &str = "unkey/authorization/insufficient_permissions";

fn update(world: &World<'_>, api: &str, mut changes: Value) {
    changes["apiId"] = json!(api);
    assert_eq!(world.admin.ok("apis.updateApi", changes), json!({}));
}

fn get(world: &World<'_>, api: &str) -> Value {
    world.admin.ok("apis.getApi", json!({"apiId": api}))
}

#[test]
fn what_is_given_is_set_and_all_else_is_kept() {
    let world = World::new();
    let api = world.api();
    let mut expected = get(&world, &api);
    for (field, value) in [
        ("name", json!("renamed")),
        ("defaultPrefix", json!("sk_live")),
        ("defaultBytes", json!(32)),
        ("recoverable", json!(true)),
        ("deleteProtection", json!(true)),
        ("ipWhitelist", json!(["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"])),
        ("recoverable", json!(false)),
        ("deleteProtection", json!(false)),
    ] {
        update(&world, &api, json!({field: value}));
        expected[field] = value;
        assert_eq!(get(&world, &api), expected);
    }
}

#[test]
fn null_clears_the_defaults_and_an_empty_list_the_allow_list() {
    let world = World::new();
    let api = world.api();
    let bare = get(&world, &api);
    update(&world, &api, json!({"defaultPrefix": "sk", "defaultBytes": 255, "ipWhitelist": ["::1"]}));
    update(&world, &api, json!({"defaultPrefix": null}));
    assert_eq!(get(&world, &api)["defaultBytes"], 255);
    update(&world, &api, json!({"defaultBytes": null, "ipWhitelist": []}));
    assert_eq!(get(&world, &api), bare);
}

#[test]
fn null_is_no_value_for_anything_else() {
    let world = World::new();
    let api = world.api();
    for field in ["name", "recoverable", "deleteProtection", "ipWhitelist"] {
        let answer = world.admin.call("apis.updateApi", json!({"apiId": api, field: null}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), [format!("body.{field}")]);
    }
}

#[test]
fn bounds_hold_at_the_limit_and_one_past_it() {
    let world = World::new();
    let api = world.api();
    let list = |n: usize| json!((0..n).map(|i| format!("10.0.0.{i}")).collect::<Vec<_>>());
    for (field, value) in [
        ("name", json!("🔑🔑🔑")),
        ("name", json!("x".repeat(256))),
        ("defaultPrefix", json!("_")),
        ("defaultPrefix", json!("Aa0_".repeat(4))),
        ("defaultBytes", json!(16)),
        ("defaultBytes", json!(255)),
        ("ipWhitelist", list(100)),
    ] {
        update(&world, &api, json!({field: value}));
        assert_eq!(get(&world, &api)[field], value);
    }
    let before = world.everything();
    for (field, value) in [
        ("name", json!("ab")),
        ("name", json!("x".repeat(257))),
        ("name", json!(3)),
        ("defaultPrefix", json!("")),
        ("defaultPrefix", json!("x".repeat(17))),
        ("defaultPrefix", json!("a-b")),
        ("defaultPrefix", json!("ä")),
        ("defaultPrefix", json!(1)),
        ("defaultBytes", json!(15)),
        ("defaultBytes", json!(256)),
        ("defaultBytes", json!(16.5)),
        ("defaultBytes", json!(16.0)),
        ("defaultBytes", json!("16")),
        ("recoverable", json!("true")),
        ("recoverable", json!(1)),
        ("deleteProtection", json!("yes")),
        ("ipWhitelist", list(101)),
        ("ipWhitelist", json!("10.0.0.1")),
        ("ipWhitelist", json!({})),
        ("id", json!("api_12345678")),
        ("defaultprefix", json!("sk")),
    ] {
        let answer = world.admin.call("apis.updateApi", json!({"apiId": api, field: value}));
        answer.refused(400, INVALID);
        let mut places = answer.locations();
        places.dedup();
        assert_eq!(places, [format!("body.{field}")], "{value}");
    }
    assert_eq!(before, world.everything());
}

#[test]
fn an_allow_list_holds_addresses_and_ranges_only() {
    let world = World::new();
    let api = world.api();
    let before = world.everything();
    for entry in [
        "localhost",
        "",
        "1",
        "10.0.0.0/33",
        "::/129",
        "10.0.0",
        "256.1.1.1",
        "10.0.0.1 ",
        "::ffff:10.0.0.0/8",
        "10.0.0.0/-1",
    ] {
        let answer = world.admin.call("apis.updateApi", json!({"apiId": api, "ipWhitelist": ["192.0.2.1", entry]}));
        answer.refused(400, INVALID);
        let places = answer.locations();
        assert!(
            !places.is_empty() && places.iter().all(|place| *place == "body.ipWhitelist[1]"),
            "{entry:?} {places:?}"
        );
    }
    assert_eq!(before, world.everything());
}

#[test]
fn every_malformed_entry_of_an_allow_list_is_named() {
    let world = World::new();
    let api = world.api();
    let list = json!(["10.0.0.0/33", "10.0.0.1", "10.0.0.0/99", ":::"]);
    let answer = world.admin.call("apis.updateApi", json!({"apiId": api, "ipWhitelist": list}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations(), ["body.ipWhitelist[0]", "body.ipWhitelist[2]", "body.ipWhitelist[3]"]);
}

#[test]
fn an_allow_list_decides_the_next_verification() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({})).plaintext;
    assert_eq!(world.verdict(&key), "VALID");
    for (list, code) in [
        (json!(["192.0.2.0/24"]), "FORBIDDEN"),
        (json!(["192.0.2.0/24", "127.0.0.1"]), "VALID"),
        (json!(["127.0.0.0/8"]), "VALID"),
        (json!(["::ffff:127.0.0.1"]), "VALID"),
        (json!(["::1"]), "FORBIDDEN"),
        (json!([]), "VALID"),
    ] {
        update(&world, &api, json!({"ipWhitelist": list}));
        assert_eq!(world.verdict(&key), code, "{list}");
    }
}

#[test]
fn new_defaults_are_for_new_keys_only() {
    let world = World::new();
    let api = world.api();
    let old = world.key(&api, json!({}));
    let before = world.get_key(&old.id);
    update(&world, &api, json!({"defaultPrefix": "new", "defaultBytes": 64}));
    assert!(world.key(&api, json!({})).plaintext.starts_with("new_"));
    assert_eq!(world.get_key(&old.id), before);
    assert_eq!(world.verdict(&old.plaintext), "VALID");
}

#[test]
fn updated_at_moves_with_every_change_even_an_empty_one() {
    let server = Options::default().start();
    let world = World::on(&server);
    let api = world.api();
    let updated = || {
        let rows = world
            .rows("SELECT (extract(epoch FROM updated_at) * 1000)::bigint AS ms FROM apis WHERE workspace_id = $ws");
        rows[0]["ms"].clone()
    };
    assert_eq!(updated(), Value::Null);
    let mut last = 0;
    for changes in [json!({"name": "renamed"}), json!({}), json!({"name": "renamed"})] {
        server.clock.advance(chrono::Duration::minutes(1));
        update(&world, &api, changes);
        let now = updated().as_i64().unwrap();
        assert!(now >= last + 60_000 && now <= server.clock.now().timestamp_millis());
        last = now;
    }
    assert_eq!(world.audit(), ["api.create", "api.update", "api.update", "api.update"]);
}

#[test]
fn the_audit_log_tells_who_changed_what_in_which_request() {
    let world = World::new();
    let api = world.api();
    let (root_key, client) = world.root_key_until(&[format!("api.{api}.update_api")], None);
    let answer = client.call("apis.updateApi", json!({"apiId": api, "name": "renamed"}));
    let rows = world.rows(
        "SELECT actor_id, correlation_id, resources FROM audit_log WHERE workspace_id = $ws AND event = 'api.update'",
    );
    let expected = json!({
        "actor_id": root_key.to_string(),
        "correlation_id": answer.body["meta"]["requestId"],
        "resources": [{"type": "api", "id": api, "name": "renamed"}],
    });
    assert_eq!(rows, [expected]);
}

#[test]
fn what_does_not_exist_is_not_changed() {
    let (world, other) = (World::new(), World::new());
    let (deleted, theirs) = (world.api(), other.api());
    world.admin.ok("apis.deleteApi", json!({"apiId": deleted}));
    let before = (world.everything(), other.everything());
    let unknown = world.admin.call("apis.updateApi", json!({"apiId": "api_unknown", "name": "mine"}));
    unknown.refused(404, NOT_FOUND);
    for id in [deleted, theirs, "x".repeat(8), "x".repeat(255)] {
        let answer = world.admin.call("apis.updateApi", json!({"apiId": id, "name": "mine"}));
        assert_eq!(answer.without_request_id(), unknown.without_request_id());
    }
    for id in ["x".repeat(7), "x".repeat(256), "api-12345".to_owned()] {
        let answer = world.admin.call("apis.updateApi", json!({"apiId": id, "name": "mine"}));
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body.apiId"]);
    }
    assert_eq!(before, (world.everything(), other.everything()));
}

#[test]
fn the_body_is_judged_before_the_permission_and_the_permission_before_the_lookup() {
    let world = World::new();
    let nobody = world.root_key(&["api.*.read_api"]);
    nobody.call("apis.updateApi", json!({"apiId": "api_unknown", "name": ""})).refused(400, INVALID);
    nobody.call("apis.updateApi", json!({"apiId": "api_unknown", "name": "abc"})).refused(403, FORBIDDEN);
    // What no schema can tell is judged between the two.
    let no_range = json!({"apiId": "api_unknown", "ipWhitelist": ["10.0.0.0/33"]});
    nobody.call("apis.updateApi", no_range.clone()).refused(403, FORBIDDEN);
    world.admin.call("apis.updateApi", no_range).refused(400, INVALID);
}

#[test]
fn changes_of_different_settings_at_once_all_stay() {
    let world = World::new();
    let api = world.api();
    let changes = [
        json!({"name": "renamed"}),
        json!({"defaultPrefix": "sk"}),
        json!({"defaultBytes": 32}),
        json!({"recoverable": true}),
        json!({"deleteProtection": true}),
        json!({"ipWhitelist": ["127.0.0.1"]}),
    ];
    std::thread::scope(|scope| {
        for change in &changes {
            scope.spawn(|| update(&world, &api, change.clone()));
        }
    });
    let shown = get(&world, &api);
    for (field, value) in changes.iter().flat_map(|change| change.as_object().unwrap()) {
        assert_eq!(&shown[field], value);
    }
}

#[test]
fn an_api_may_opt_in_to_recoverable_keys_before_there_is_a_master_key() {
    let server = Options::default().master_keys(MasterKeys::default()).start();
    let world = World::on(&server);
    let api = world.api();
    update(&world, &api, json!({"recoverable": true}));
    assert_eq!(get(&world, &api)["recoverable"], true);
    let answer = world.admin.call("keys.createKey", json!({"apiId": api, "recoverable": true}));
    answer.refused(412, "unkey/application/precondition_failed");
    world.key(&api, json!({}));
}
