//! `decisions.explain`: every step leaves a record, and the record is true.

use crate::decisions::explained;
use crate::decisions::of_denied;
use crate::decisions::of_verified;
use crate::decisions::request_id;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::operate;
use crate::harness::postgres;
use crate::harness::server::Options;
use chrono::Duration;
use keyward::authz::action::Action;
use keyward::domain::workspaces;
use keyward::model::workspace::LimitChanges;
use serde_json::Value;
use serde_json::json;

fn is(record: &Value, step: &str, code: &str) {
    assert_eq!((&record["step"], &record["code"]), (&json!(step), &json!(code)), "{record:#}");
    assert!(!record["summary"].as_str().unwrap().is_empty());
}

/// The record of a credential that belongs to no workspace of the test, as the operator reads it.
fn stored(server: &Server, request: &str) -> Value {
    eventually("the record is written", || {
        let query = format!("SELECT workspace_id, record FROM decisions WHERE request_id = '{request}'");
        postgres::rows(&server.database, &query).into_iter().next()
    })
}

fn limit(world: &World<'_>, changes: LimitChanges) {
    operate(world.server, |tx| workspaces::set_limits(tx, world.workspace.as_str(), &changes));
}

#[test]
fn every_step_on_root_keys_leaves_its_record() {
    let server = Options::default().flags("--auth-failures-per-minute 0").start();
    let world = World::on(&server);
    let (admin, list) = (&world.admin, "apis.listApis");

    let record = of_denied(admin, &world.root_key::<&str>(&[]), list, json!({}));
    is(&record, "rootKeyPermissions", "unkey/authorization/insufficient_permissions");
    assert_eq!(record["missing"], json!(["api.*.read_api"]));
    assert_eq!(record["required"]["permissions"], json!([["api.*.read_api"]]));
    assert_eq!((&record["operation"], &record["count"]), (&json!(list), &json!(1)));
    assert_eq!(record["credential"]["type"], "rootKey");
    assert_eq!(record["principal"]["workspaceId"], json!(world.workspace));

    let (id, disabled) = world.root_key_until(&["api.*.read_api"], None);
    admin.ok("rootKeys.updateKey", json!({"keyId": id, "enabled": false}));
    let record = of_denied(admin, &disabled, list, json!({}));
    is(&record, "rootKeyEnabled", "unkey/authorization/key_disabled");
    assert_eq!(record["credential"]["id"], json!(id));

    let end = server.clock.now() + Duration::seconds(60);
    let (_, expiring) = world.root_key_until(&["api.*.read_api", "root_key.*.create_root_key"], Some(end));
    let mint = json!({"permissions": ["api.*.read_api"]});
    let record = of_denied(admin, &expiring, "rootKeys.createKey", mint);
    is(&record, "ceiling", "unkey/authorization/forbidden");
    let more = json!({"permissions": ["api.*.read_api", "api.*.delete_api"], "expires": end.timestamp_millis()});
    let record = of_denied(admin, &expiring, "rootKeys.createKey", more);
    is(&record, "ceiling", "unkey/authorization/insufficient_permissions");
    assert_eq!(record["missing"], json!(["api.*.delete_api"]));
    server.clock.advance(Duration::seconds(61));
    let record = of_denied(admin, &expiring, list, json!({}));
    is(&record, "rootKeyExpiry", "unkey/authorization/forbidden");
    assert_eq!(record["required"]["expires"], json!(end.timestamp_millis()));

    limit(&world, LimitChanges { keys_max: Some(Some(0)), root_keys_max: Some(Some(1)), ..LimitChanges::default() });
    let record = of_denied(admin, admin, "keys.createKey", json!({"apiId": world.api()}));
    is(&record, "keysLimit", "unkey/limits/keys_limit_exceeded");
    assert_eq!(record["required"]["keysMax"], json!(0));
    let record = of_denied(admin, admin, "rootKeys.createKey", json!({"permissions": []}));
    is(&record, "rootKeysLimit", "unkey/limits/root_keys_limit_exceeded");
    assert_eq!(record["required"]["rootKeysMax"], json!(1));
}

#[test]
fn an_allowance_that_is_used_up_leaves_its_record() {
    let world = World::new();
    let caller = world.root_key(&["api.*.read_api"]);
    limit(&world, LimitChanges { requests_per_minute: Some(Some(1)), ..LimitChanges::default() });
    let denied = eventually("the allowance is used up", || {
        let answer = caller.call("apis.listApis", json!({}));
        (answer.status == 429).then_some(answer)
    });
    limit(&world, LimitChanges { requests_per_minute: Some(None), ..LimitChanges::default() });
    let record = eventually("the limit is gone", || {
        let answer = world.admin.call("decisions.explain", json!({"requestId": request_id(&denied)}));
        (answer.status == 200).then(|| answer.body["data"].clone())
    });
    is(&record, "requestAllowance", "user/too_many_requests/workspace_rate_limited");
    assert_eq!(record["required"]["requestsPerMinute"], json!(1));
}

#[test]
fn a_disabled_workspace_and_unknown_credentials_leave_their_records() {
    let server = Options::default().flags("--auth-failures-per-minute 0").start();
    let world = World::on(&server);
    let reads = |client: &Client| client.call("apis.listApis", json!({}));
    let (id, deleted) = world.root_key_until(&["api.*.read_api"], None);
    world.admin.ok("rootKeys.deleteKey", json!({"keyId": id}));
    let record = explained(&world.admin, &request_id(&reads(&deleted)));
    is(&record, "rootKey", "unkey/authentication/key_not_found");
    assert_eq!((&record["credential"]["looksLike"], &record["credential"]["id"]), (&json!("deleted"), &json!(id)));

    let key = world.key(&world.api(), json!({"name": "secret name"}));
    let record = explained(&world.admin, &request_id(&reads(&world.anonymous().bearer(&key.plaintext))));
    assert_eq!(record["credential"], json!({"type": "key", "id": key.id, "looksLike": "keyOfApi"}), "{record:#}");

    let unknown = request_id(&reads(&world.anonymous().bearer("keyward_root_unknown")));
    let row = stored(&server, &unknown);
    assert_eq!(row["workspace_id"], Value::Null);
    assert_eq!(row["record"]["credential"], json!({"type": "unknown", "looksLike": "rootKey"}));
    let answer = world.admin.call("decisions.explain", json!({"requestId": unknown}));
    answer.refused(404, "unkey/data/decision_not_found");

    operate(&server, |tx| workspaces::set_enabled(tx, world.workspace.as_str(), false));
    let denied = reads(&world.admin);
    denied.refused(403, "unkey/authorization/workspace_disabled");
    assert_eq!(denied.body["error"]["decision"], denied.body["meta"]["requestId"]);
    operate(&server, |tx| workspaces::set_enabled(tx, world.workspace.as_str(), true));
    is(&explained(&world.admin, &request_id(&denied)), "workspaceEnabled", "unkey/authorization/workspace_disabled");
}

#[test]
fn too_many_failed_attempts_leave_a_record() {
    let server = Options::default().database(postgres::fresh_database()).flags("--auth-failures-per-minute 1").start();
    let client = Client::new(server.url()).bearer("keyward_root_guess");
    let refused = |status: u16| {
        let answer = client.call("apis.listApis", json!({}));
        assert_eq!(answer.status, status, "{}", answer.text);
        request_id(&answer)
    };
    refused(401);
    let row = stored(&server, &refused(429));
    assert_eq!(row["record"]["code"], "user/too_many_requests/authentication_rate_limited");
}

#[test]
fn every_step_on_keys_leaves_its_record() {
    let world = World::new();
    let (admin, api) = (&world.admin, world.api());
    let verified = |body: Value| of_verified(admin, admin, body);

    let disabled = world.key(&api, json!({"enabled": false, "name": "checkout"}));
    let record = verified(json!({"key": disabled.plaintext}));
    is(&record, "enabled", "DISABLED");
    assert_eq!(record["credential"]["id"], json!(disabled.id));
    assert_eq!(record["credential"]["name"], "checkout");
    assert_eq!(record["credential"]["apiId"], json!(api));
    assert_eq!(record["caller"]["name"], "test");
    assert!(record["caller"]["start"].as_str().unwrap().starts_with("keyward_root_"));

    let expired = world.key(&api, json!({"expires": 1000}));
    let record = verified(json!({"key": expired.plaintext}));
    is(&record, "expiry", "EXPIRED");
    assert_eq!(record["required"]["expires"], json!(1000));

    let owned = world.key(&api, json!({"externalId": "customer"}));
    admin.ok("identities.updateIdentity", json!({"identity": "customer", "enabled": false}));
    let record = verified(json!({"key": owned.plaintext}));
    is(&record, "owner", "FORBIDDEN");
    assert_eq!(record["principal"]["owner"]["externalId"], "customer");

    let listed = world.api_with(json!({"ipWhitelist": ["192.0.2.0/24"]}));
    let outside = world.key(&listed, json!({}));
    let record = verified(json!({"key": outside.plaintext, "clientIp": "198.51.100.7"}));
    is(&record, "address", "FORBIDDEN");
    assert_eq!(record["required"]["address"], "198.51.100.7");
    assert_eq!(record["required"]["addresses"], json!(["192.0.2.0/24"]));

    let limits = json!([{"name": "calls", "limit": 1, "duration": 60_000, "autoApply": true}]);
    let limited = world.key(&api, json!({"ratelimits": limits}));
    world.verify(&limited.plaintext);
    let record = verified(json!({"key": limited.plaintext}));
    is(&record, "rateLimits", "RATE_LIMITED");
    let said = &record["required"]["ratelimits"][0];
    assert_eq!(
        (&said["name"], &said["limit"], &said["remaining"], &said["cost"]),
        (&json!("calls"), &json!(1), &json!(0), &json!(1))
    );

    let poor = world.key(&api, json!({"credits": {"remaining": 2}}));
    let record = verified(json!({"key": poor.plaintext, "credits": {"cost": 5}}));
    is(&record, "credits", "USAGE_EXCEEDED");
    assert_eq!(record["required"]["credits"], json!({"cost": 5, "remaining": 2}));
}

#[test]
fn a_record_names_the_route_of_everything_that_is_held() {
    let world = World::new();
    let admin = &world.admin;
    admin.ok("permissions.createRole", json!({"name": "editor", "permissions": ["docs.read", "docs.list"]}));
    admin.ok("permissions.createRole", json!({"name": "staff", "permissions": ["docs.read"]}));
    let key = world.key(&world.api(), json!({"externalId": "acme", "permissions": ["docs.list"], "roles": ["editor"]}));
    admin.ok("identities.setRoles", json!({"identity": "acme", "roles": ["staff"]}));
    admin.ok("identities.setPermissions", json!({"identity": "acme", "permissions": ["docs.share"]}));
    let query = "(docs.read AND docs.list AND docs.share AND docs.write) OR docs.own";
    let record = of_verified(admin, admin, json!({"key": key.plaintext, "permissions": query}));
    is(&record, "permissions", "INSUFFICIENT_PERMISSIONS");
    assert_eq!(record["required"]["query"], query);
    assert_eq!(
        record["held"],
        json!([
            {"permission": "docs.list", "routes": [{"type": "direct"}, {"type": "role", "role": "editor"}]},
            {"permission": "docs.read", "routes": [{"type": "role", "role": "editor"}, {"type": "ownerRole", "role": "staff"}]},
            {"permission": "docs.share", "routes": [{"type": "owner"}]},
        ])
    );
    assert_eq!(record["missing"].as_array().unwrap().len(), 1, "{record:#}");
    let age = &record["data"];
    assert!(age["ageMs"].as_i64().unwrap() < 60_000 && age["readAt"].as_i64().unwrap() > 1_700_000_000_000, "{age}");
}

#[test]
fn a_key_that_was_not_found_is_told_as_far_as_it_may_be() {
    let world = World::new();
    let admin = &world.admin;
    let api = world.api_with(json!({"defaultPrefix": "acme"}));
    let looks = |reader: &Client, key: &str| {
        let record = of_verified(reader, admin, json!({"key": key}));
        is(&record, "lookup", "NOT_FOUND");
        record["credential"].clone()
    };
    assert_eq!(looks(admin, "nonsense"), json!({"type": "unknown", "looksLike": "unknown"}));
    assert_eq!(looks(admin, "two words"), json!({"type": "unknown", "looksLike": "malformed"}));
    assert_eq!(looks(admin, admin.root_key()), json!({"type": "unknown", "looksLike": "rootKey"}));
    let prefix = json!({"type": "unknown", "looksLike": "prefixOf", "apiId": api});
    assert_eq!(looks(admin, "acme_mistyped"), prefix);
    let blind = world.root_key(&["decision.*.read_decision"]);
    assert_eq!(looks(&blind, "acme_mistyped2"), json!({"type": "unknown", "looksLike": "unknown"}));

    let key = world.key(&api, json!({"name": "gone"}));
    let uncovered = world.root_key(&["api.api_other.verify_key"]);
    let record = of_verified(admin, &uncovered, json!({"key": key.plaintext}));
    assert_eq!(
        (&record["credential"]["id"], &record["credential"]["looksLike"]),
        (&json!(key.id), &json!("notCovered"))
    );
    let record = of_verified(admin, admin, json!({"key": key.plaintext, "apiId": "api_other"}));
    assert_eq!(record["credential"]["looksLike"], "otherApi");
    admin.ok("keys.deleteKey", json!({"keyId": key.id}));
    let credential = looks(admin, &key.plaintext);
    assert_eq!((&credential["id"], &credential["looksLike"]), (&json!(key.id), &json!("deleted")));
}

#[test]
fn the_denied_root_key_reads_its_own_denial_and_no_id_that_it_did_not_send() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    let own = key_api(&world, &key.id);
    let caller = world.root_key(&["api.*.read_key".to_owned(), Action::UpdateKey.on("api_1")]);
    let answer = caller.call("keys.updateKey", json!({"keyId": key.id, "name": "x"}));
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    let id = request_id(&answer);
    let reduced = explained(&caller, &id);
    assert!(!reduced.to_string().contains(&own), "{reduced:#}");
    assert_eq!(reduced["missing"], answer.body["error"]["missing"]);
    assert_eq!(reduced["required"]["permissions"], answer.body["error"]["required"]);
    assert_eq!((&reduced["before"], &reduced["now"]["because"]), (&Value::Null, &json!([])));
    assert_eq!((&reduced["now"]["allowed"], &reduced["requestId"]), (&json!(false), &json!(id)));

    let whole = explained(&world.admin, &id);
    assert_eq!(whole["missing"], json!([Action::UpdateKey.on(&own)]));
    assert!(whole["before"].is_array());

    let other = world.root_key(&["api.*.read_key"]);
    let hidden = other.call("decisions.explain", json!({"requestId": id}));
    let unknown = other.call("decisions.explain", json!({"requestId": "req_neverwas"}));
    hidden.refused(404, "unkey/data/decision_not_found");
    assert_eq!(hidden.without_request_id(), unknown.without_request_id());

    // Of the keys that it verified it learns no more than it was told.
    let verifier = world.root_key(&["api.*.verify_key"]);
    let answer = verifier.call("keys.verifyKey", json!({"key": "nonsense"}));
    let hidden = verifier.call("decisions.explain", json!({"requestId": request_id(&answer)}));
    assert_eq!(hidden.without_request_id(), unknown.without_request_id());
}

fn key_api(world: &World<'_>, key: &str) -> String {
    let rows = world.rows(&format!("SELECT api_id FROM keys WHERE workspace_id = $ws AND id = '{key}'"));
    rows[0]["api_id"].as_str().unwrap().to_owned()
}

#[test]
fn credentials_that_do_not_count_are_named() {
    let world = World::new();
    let caller = world.root_key::<&str>(&[]).header("cookie", "session=1").header("x-api-key", "abc");
    let body = json!({}).to_string();
    let answer = caller.post("/v2/apis.listApis?api_key=abc&x=1&token=t", "application/json", body);
    let record = explained(&world.admin, &request_id(&answer));
    assert_eq!(record["ignored"], json!(["cookie", "header.x-api-key", "query.api_key", "query.token"]));
    let verifier = world.root_key(&["api.*.verify_key"]).header("cookie", "session=1");
    let record = of_verified(&world.admin, &verifier, json!({"key": "nonsense"}));
    assert_eq!(record["ignored"], json!(["cookie"]));
}

#[test]
fn no_secret_is_in_any_record() {
    let server = Options::default().database(postgres::fresh_database()).start();
    let world = World::on(&server);
    let key = world.key(&world.api_with(json!({"defaultPrefix": "acme"})), json!({"enabled": false}));
    let denied =
        [world.verify(&key.plaintext), world.verify("canary_prefix_canary_secret"), world.verify("acme_canary_secret")];
    assert!(denied.iter().all(|data| data["valid"] == false));
    let caller = world.root_key::<&str>(&[]);
    caller.call("apis.listApis", json!({}));
    world.anonymous().bearer("keyward_root_canary_secret").call("apis.listApis", json!({}));
    let rows = eventually("all are written", || {
        let rows = postgres::rows(&server.database, "SELECT d::text AS text FROM decisions d");
        (rows.len() == 5).then_some(rows)
    });
    for row in rows {
        let text = row["text"].as_str().unwrap();
        for secret in [&key.plaintext, caller.root_key(), world.admin.root_key(), "canary"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_record_tells_on_every_server_what_took_a_permission_away_and_what_brought_it_back() {
    let (world, server) = (World::new(), Options::default().start());
    let admin = &world.admin;
    let elsewhere = Client::new(server.url()).bearer(admin.root_key());
    admin.ok("permissions.createRole", json!({"name": "editor", "permissions": ["docs.read", "docs.write"]}));
    let key = world.key(&world.api(), json!({"externalId": "acme"}));
    admin.ok("identities.setRoles", json!({"identity": "acme", "roles": ["editor"]}));
    let asked = json!({"key": key.plaintext, "permissions": "docs.read AND docs.write"});
    assert_eq!(admin.ok("keys.verifyKey", asked.clone())["code"], "VALID");
    let lost = admin.call("permissions.setRolePermissions", json!({"role": "editor", "permissions": ["docs.read"]}));
    let denied = request_id(&admin.call("keys.verifyKey", asked.clone()));

    let record = eventually("the other server has the record", || {
        let answer = elsewhere.call("decisions.explain", json!({"requestId": denied}));
        (answer.status == 200).then(|| answer.data().clone())
    });
    is(&record, "permissions", "INSUFFICIENT_PERMISSIONS");
    assert_eq!(record["missing"], json!(["docs.write"]));
    assert_eq!(record["now"]["allowed"], false);
    assert_eq!(record["before"][0]["requestId"], json!(request_id(&lost)), "{record:#}");

    let both = json!({"role": "editor", "permissions": ["docs.read", "docs.write"]});
    let given = admin.call("permissions.setRolePermissions", both);
    assert_eq!(admin.ok("keys.verifyKey", asked)["code"], "VALID");
    let now = explained(&elsewhere, &denied)["now"].clone();
    assert_eq!((&now["allowed"], &now["code"], &now["missing"]), (&json!(true), &json!("VALID"), &json!([])));
    assert_eq!(now["because"][0]["requestId"], json!(request_id(&given)), "{now:#}");
    assert_eq!(now["since"], now["because"][0]["time"]);
}
