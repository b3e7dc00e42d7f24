//! `decisions.simulate` (decisions.md "Additions").

use crate::harness::World;
use crate::harness::server::Options;
use chrono::Duration;
use serde_json::Value;
use serde_json::json;

/// What is simulated of a key with these further fields.
fn of_key(world: &World<'_>, key: &str, mut fields: Value) -> Value {
    fields["keyId"] = json!(key);
    world.admin.ok("decisions.simulate", fields)
}

/// Code and what is missing.
fn verdict(data: &Value) -> (&str, Vec<&str>) {
    let missing = data["missing"].as_array().unwrap().iter().map(|slug| slug.as_str().unwrap());
    assert_eq!(data["allowed"], json!(data["code"] == "VALID"), "{data}");
    assert_eq!(data["step"].is_null(), data["code"] == "VALID", "{data}");
    (data["code"].as_str().unwrap(), missing.collect())
}

#[test]
fn it_answers_what_the_verification_is_told_and_why() {
    let world = World::new();
    let api = world.api();
    world.admin.ok("permissions.createRole", json!({"name": "viewer", "permissions": ["docs.read"]}));
    world.admin.ok("identities.createIdentity", json!({"externalId": "acme"}));
    world.admin.ok("identities.setPermissions", json!({"identity": "acme", "permissions": ["docs.list"]}));
    world.admin.ok("identities.setRoles", json!({"identity": "acme", "roles": ["viewer"]}));
    let key = world
        .key(&api, json!({"name": "prod", "externalId": "acme", "permissions": ["docs.read"], "roles": ["viewer"]}));
    let query = "docs.read AND docs.list AND (docs.write OR docs.admin)";
    let data = of_key(&world, &key.id, json!({"permissions": query}));
    assert_eq!(verdict(&data), ("INSUFFICIENT_PERMISSIONS", vec!["docs.write"]));
    assert_eq!(data["step"], "permissions");
    assert_eq!(data["required"]["query"], query);
    assert_eq!(
        data["held"],
        json!([
            {"permission": "docs.list", "routes": [{"type": "owner"}]},
            {"permission": "docs.read", "routes": [
                {"type": "direct"}, {"type": "role", "role": "viewer"}, {"type": "ownerRole", "role": "viewer"}
            ]},
        ])
    );
    assert_eq!(data["credential"]["id"], json!(key.id));
    assert_eq!(data["principal"]["owner"]["externalId"], "acme");
    assert_eq!((&data["data"]["ageMs"], &data["assumed"]), (&json!(0), &json!({})));
    let real = world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "permissions": query}));
    assert_eq!(real["code"], data["code"]);
}

/// Something that may be supposed, with the operation that does it, and the verdict that comes of it.
type Case = (Value, Value, &'static str, Value, &'static str);

/// Each thing that may be supposed of a key, done one after the other.
fn cases(past: i64, future: i64) -> Vec<Case> {
    const LACKS: &str = "INSUFFICIENT_PERMISSIONS";
    let asks = |slug: &str| json!({"permissions": slug});
    let (write, costly) = (|| asks("docs.write"), || json!({"credits": {"cost": 5}}));
    let slugs = || json!({"permissions": ["docs.write"]});
    let set = |value: Value| json!({"operation": "set", "value": value});
    let state = |fields: Value, code| (write(), fields.clone(), "keys.updateKey", fields, code);
    let owner = |enabled: bool, code| {
        let done = json!({"identity": "acme", "enabled": enabled});
        (write(), json!({"ownerEnabled": enabled}), "identities.updateIdentity", done, code)
    };
    let credits =
        |value: Value, code| (costly(), json!({"credits": value}), "keys.updateCredits", set(value.clone()), code);
    vec![
        (write(), json!({}), "keys.updateKey", json!({}), LACKS),
        (write(), json!({"grant": ["docs.write"]}), "keys.addPermissions", slugs(), "VALID"),
        (write(), json!({"revoke": ["docs.write"]}), "keys.removePermissions", slugs(), LACKS),
        (write(), json!({"addRoles": ["editor"]}), "keys.addRoles", json!({"roles": ["editor"]}), "VALID"),
        (
            asks("docs.read"),
            json!({"removeRoles": ["viewer"]}),
            "keys.removeRoles",
            json!({"roles": ["viewer"]}),
            LACKS,
        ),
        state(json!({"enabled": false}), "DISABLED"),
        state(json!({"enabled": true}), "VALID"),
        state(json!({"expires": past}), "EXPIRED"),
        state(json!({"expires": null}), "VALID"),
        state(json!({"expires": future}), "VALID"),
        owner(false, "FORBIDDEN"),
        owner(true, "VALID"),
        (costly(), json!({}), "keys.updateKey", json!({}), "USAGE_EXCEEDED"),
        credits(json!(5), "VALID"),
        credits(json!(4), "USAGE_EXCEEDED"),
        credits(json!(null), "VALID"),
    ]
}

/// What the simulation says of it comes true when it is done.
#[test]
fn what_is_supposed_and_then_done_comes_true() {
    let world = World::new();
    let api = world.api();
    world.admin.ok("permissions.createRole", json!({"name": "editor", "permissions": ["docs.write"]}));
    world.admin.ok("permissions.createRole", json!({"name": "viewer", "permissions": ["docs.read"]}));
    world.admin.ok("identities.createIdentity", json!({"externalId": "acme"}));
    let key = world.key(&api, json!({"externalId": "acme", "roles": ["viewer"], "credits": {"remaining": 1}}));
    let day = |days: i64| (world.server.clock.now() + Duration::days(days)).timestamp_millis();
    for (asked, supposed, operation, mut done, code) in cases(day(-9), day(9)) {
        if operation.starts_with("keys.") {
            done["keyId"] = json!(key.id);
        }
        let mut fields = asked.clone();
        fields["if"] = supposed.clone();
        let data = of_key(&world, &key.id, fields);
        assert_eq!((data["code"].as_str().unwrap(), &data["assumed"]), (code, &supposed), "{data}");
        world.admin.ok(operation, done);
        let mut really = asked.clone();
        really["key"] = json!(key.plaintext);
        assert_eq!(world.admin.ok("keys.verifyKey", really)["code"], json!(code), "{supposed}");
        // And without supposing anything the simulation says so, too. What that call has cost may be missing now.
        if data["required"]["credits"].is_null() || code != "VALID" {
            assert_eq!(of_key(&world, &key.id, asked.clone())["code"], json!(code), "{supposed}");
        }
        if !data["required"]["credits"].is_null() {
            world.admin.ok("keys.updateCredits", json!({"keyId": key.id, "operation": "set", "value": 1}));
        }
    }
}

#[test]
fn nothing_is_consumed_and_nothing_written() {
    let server = Options::default().start();
    let world = World::on(&server);
    let api = world.api();
    let limits = json!([{"name": "requests", "limit": 2, "duration": 3_600_000, "autoApply": true}]);
    let key = world.key(&api, json!({"externalId": "acme", "credits": {"remaining": 2}, "ratelimits": limits}));
    let (id, _) = world.root_key_until(&["api.*.read_api"], None);
    let before = world.everything();
    let counters = server.app.limiter.state().counters;
    for _ in 0..5 {
        let data = of_key(
            &world,
            &key.id,
            json!({"credits": {"cost": 2}, "ratelimits": [{"name": "mine", "limit": 1, "duration": 60_000}]}),
        );
        assert_eq!(verdict(&data).0, "VALID");
        let limits = data["required"]["ratelimits"].as_array().unwrap();
        let remaining: Vec<_> = limits.iter().map(|limit| (&limit["name"], &limit["remaining"])).collect();
        assert_eq!(remaining, [(&json!("mine"), &json!(1)), (&json!("requests"), &json!(2))]);
        assert_eq!(data["required"]["credits"], json!({"cost": 2, "remaining": 2}));
        world.admin.ok("decisions.simulate", json!({"externalId": "acme", "if": {"grant": ["new"]}}));
        world.admin.ok("decisions.simulate", json!({"rootKeyId": id, "operation": "apis.createApi"}));
    }
    assert_eq!(world.everything(), before);
    assert_eq!(server.app.limiter.state().counters, counters);
    for (left, code) in [(1, "VALID"), (0, "VALID"), (0, "RATE_LIMITED")] {
        let data = world.verify(&key.plaintext);
        assert_eq!((&data["code"], &data["credits"]), (&json!(code), &json!(left)));
    }
    let data = of_key(&world, &key.id, json!({}));
    assert_eq!(verdict(&data).0, "RATE_LIMITED");
    assert_eq!(data["required"]["ratelimits"][0]["name"], "requests");
}

#[test]
fn it_is_asked_for_another_moment() {
    let world = World::new();
    let api = world.api();
    let now = world.server.clock.now();
    let at = |hours: i64| json!((now + Duration::hours(hours)).timestamp_millis());
    let limits = json!([{"name": "requests", "limit": 1, "duration": 3_600_000, "autoApply": true}]);
    let refill = json!({"interval": "daily", "amount": 3});
    let key = world
        .key(&api, json!({"expires": at(60), "ratelimits": limits, "credits": {"remaining": 1, "refill": refill}}));
    world.verify(&key.plaintext);
    let code = |fields: Value| of_key(&world, &key.id, fields)["code"].clone();
    assert_eq!(code(json!({})), "RATE_LIMITED");
    // Two windows on the limit has room; after midnight there are credits again; in the end the key ends.
    let none = json!([{"name": "requests", "limit": 9, "duration": 3_600_000}]);
    assert_eq!(code(json!({"ratelimits": none})), "USAGE_EXCEEDED");
    assert_eq!(code(json!({"time": at(30)})), "VALID");
    assert_eq!(code(json!({"time": at(61)})), "EXPIRED");
}

#[test]
fn an_owner_is_what_every_key_of_it_has_at_least() {
    let world = World::new();
    world.admin.ok("permissions.createRole", json!({"name": "viewer", "permissions": ["docs.read"]}));
    world.admin.ok("identities.createIdentity", json!({"externalId": "acme"}));
    world.admin.ok("identities.setPermissions", json!({"identity": "acme", "permissions": ["docs.list"]}));
    world.admin.ok("identities.setRoles", json!({"identity": "acme", "roles": ["viewer"]}));
    let simulate = |fields: Value| {
        let mut fields = fields;
        fields["externalId"] = json!("acme");
        world.admin.ok("decisions.simulate", fields)
    };
    let data = simulate(json!({"permissions": "docs.read AND docs.list"}));
    assert_eq!(verdict(&data), ("VALID", vec![]));
    assert_eq!(
        data["held"],
        json!([
            {"permission": "docs.list", "routes": [{"type": "owner"}]},
            {"permission": "docs.read", "routes": [{"type": "ownerRole", "role": "viewer"}]},
        ])
    );
    let data = simulate(json!({"permissions": "docs.write"}));
    assert_eq!(verdict(&data), ("INSUFFICIENT_PERMISSIONS", vec!["docs.write"]));
    assert_eq!(data["credential"], json!({"type": "key"}));
    let summary = data["summary"].as_str().unwrap();
    assert!(summary.starts_with("A key of `acme` does not hold"), "{summary}");
    assert!(data["change"]["curl"].as_str().unwrap().contains("identities.setPermissions"), "{data}");
    assert_eq!(verdict(&simulate(json!({"permissions": "docs.write", "if": {"grant": ["docs.write"]}}))).0, "VALID");
    assert_eq!(
        verdict(&simulate(json!({"permissions": "docs.read", "if": {"removeRoles": ["viewer"]}}))).0,
        "INSUFFICIENT_PERMISSIONS"
    );
    let data = simulate(json!({"if": {"ownerEnabled": false}}));
    assert_eq!((verdict(&data).0, &data["step"]), ("FORBIDDEN", &json!("owner")));
}

#[test]
fn of_a_root_key_it_foretells_the_call() {
    let world = World::new();
    let (api, other) = (world.api(), world.api());
    let (id, client) = world.root_key_until(&[format!("api.{api}.create_key"), "api.*.read_key".to_owned()], None);
    let simulate = |fields: Value| {
        let mut fields = fields;
        fields["rootKeyId"] = json!(id);
        world.admin.ok("decisions.simulate", fields)
    };
    let create = |api: &str| json!({"operation": "keys.createKey", "resource": api});
    let lacking = "unkey/authorization/insufficient_permissions";
    let data = simulate(create(&api));
    assert_eq!(verdict(&data), ("VALID", vec![]));
    assert_eq!(data["held"], json!([{"permission": format!("api.{api}.create_key"), "routes": [{"type": "direct"}]}]));
    client.ok("keys.createKey", json!({"apiId": api}));

    let needed = format!("api.{other}.create_key");
    let data = simulate(create(&other));
    assert_eq!(verdict(&data), (lacking, vec![needed.as_str()]));
    assert_eq!((&data["step"], &data["credential"]["id"]), (&json!("rootKeyPermissions"), &json!(id)));
    let real = client.call("keys.createKey", json!({"apiId": other}));
    assert_eq!(real.body["error"]["missing"], data["missing"]);
    assert_eq!(data["required"]["permissions"], real.body["error"]["required"]);

    // For everything there is.
    assert_eq!(verdict(&simulate(json!({"operation": "keys.createKey"}))), (lacking, vec!["api.*.create_key"]));
    assert_eq!(verdict(&simulate(json!({"operation": "keys.getKey"}))).0, "VALID");
    assert_eq!(verdict(&simulate(json!({"operation": "keys.verifyKey"}))), (lacking, vec!["api.*.verify_key"]));
    let some = json!({"operation": "keys.verifyKey", "if": {"grant": ["api.api_1.verify_key"]}});
    assert_eq!(verdict(&simulate(some)).0, "VALID");
    assert_eq!(verdict(&simulate(json!({"operation": "apis.createApi"}))), (lacking, vec!["api.*.create_api"]));
    let mut revoked = create(&api);
    revoked["if"] = json!({"revoke": [format!("api.{api}.create_key")]});
    assert_eq!(verdict(&simulate(revoked)).0, lacking);

    let mut granted = create(&other);
    granted["if"] = json!({"grant": [needed]});
    assert_eq!(verdict(&simulate(granted)).0, "VALID");
    let mut switched = create(&api);
    switched["if"] = json!({"enabled": false});
    assert_eq!(verdict(&simulate(switched)).0, "unkey/authorization/key_disabled");
    let mut ended = create(&api);
    ended["if"] = json!({"expires": 1});
    assert_eq!(
        (verdict(&simulate(ended.clone())).0, &simulate(ended)["step"]),
        ("unkey/authorization/forbidden", &json!("rootKeyExpiry"))
    );
}

#[test]
fn owners_and_namespaces_are_named_by_their_own_names_too() {
    let world = World::new();
    let identity = world.admin.ok("identities.createIdentity", json!({"externalId": "acme"}))["identityId"].clone();
    let identity = identity.as_str().unwrap();
    let (id, _) = world.root_key_until(&[format!("identity.{identity}.read_identity")], None);
    for (resource, allowed) in [(identity, true), ("acme", true), ("nobody", false)] {
        let body = json!({"rootKeyId": id, "operation": "identities.getIdentity", "resource": resource});
        assert_eq!(world.admin.ok("decisions.simulate", body)["allowed"], json!(allowed), "{resource}");
    }
}

#[test]
fn what_is_not_there_and_what_makes_no_sense_is_refused() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let (root_key, _) = world.root_key_until::<&str>(&[], None);
    let call = |body: Value| world.admin.call("decisions.simulate", body);
    call(json!({"keyId": "key_that_never_was"})).refused(404, "unkey/data/key_not_found");
    call(json!({"externalId": "nobody"})).refused(404, "unkey/data/identity_not_found");
    call(json!({"rootKeyId": "root_that_never_was", "operation": "apis.createApi"}))
        .refused(404, "unkey/data/key_not_found");
    call(json!({"keyId": key.id, "if": {"addRoles": ["nothing"]}})).refused(404, "unkey/data/role_not_found");
    call(json!({"keyId": key.id, "permissions": "a AND"}))
        .refused(400, "user/bad_request/permissions_query_syntax_error");
    call(json!({"keyId": key.id, "ratelimits": [{"name": "nothing"}]}))
        .refused(412, "unkey/application/precondition_failed");
    for (body, location) in [
        (json!({}), "body"),
        (json!({"keyId": key.id, "externalId": "acme"}), "body"),
        (json!({"keyId": key.id, "operation": "keys.createKey"}), "body.operation"),
        (json!({"keyId": key.id, "resource": api}), "body.resource"),
        (json!({"keyId": key.id, "clientIp": "1.2.3"}), "body.clientIp"),
        (json!({"externalId": "acme", "if": {"credits": 1}}), "body.if.credits"),
        (json!({"rootKeyId": root_key}), "body.operation"),
        (json!({"rootKeyId": root_key, "operation": "keys.fly"}), "body.operation"),
        (json!({"rootKeyId": root_key, "operation": "apis.createApi", "permissions": "a"}), "body.permissions"),
        (json!({"rootKeyId": root_key, "operation": "apis.createApi", "resource": api}), "body.resource"),
        (
            json!({"rootKeyId": root_key, "operation": "apis.createApi", "if": {"grant": ["api.*.fly"]}}),
            "body.if.grant[0]",
        ),
        (json!({"rootKeyId": root_key, "operation": "apis.createApi", "if": {"addRoles": ["r"]}}), "body.if.addRoles"),
    ] {
        let answer = call(body.clone());
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.locations(), [location], "{body}: {}", answer.text);
    }
}
