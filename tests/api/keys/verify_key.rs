//! `keys.verifyKey`.

use crate::harness::Client;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::operate;
use crate::harness::server::Options;
use crate::harness::soon;
use chrono::Duration;
use keyward::domain::root_keys;
use keyward::domain::workspaces;
use serde_json::Value;
use serde_json::json;

fn not_found() -> Value {
    json!({"valid": false, "code": "NOT_FOUND"})
}

fn verdict_of(client: &Client, body: Value) -> String {
    client.ok("keys.verifyKey", body)["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_live_key_is_valid_and_tells_what_is_known_of_it() {
    let world = World::new();
    let api = world.api();
    let expires = 4_102_444_800_000_i64;
    let key = world.key(&api, json!({"name": "one", "meta": {"plan": "pro"}, "expires": expires}));
    assert_eq!(
        world.verify(&key.plaintext),
        json!({
            "valid": true, "code": "VALID", "keyId": key.id, "keyspaceId": api, "enabled": true,
            "name": "one", "meta": {"plan": "pro"}, "expires": expires
        })
    );
    let plain = world.key(&api, json!({"meta": {}}));
    assert_eq!(
        world.verify(&plain.plaintext),
        json!({"valid": true, "code": "VALID", "keyId": plain.id, "keyspaceId": api, "enabled": true})
    );
}

#[test]
fn a_refused_key_still_tells_what_is_known_of_it() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"name": "one", "enabled": false, "expires": 1}));
    let data = world.verify(&key.plaintext);
    assert_eq!(data["code"], "DISABLED");
    assert_eq!(
        (&data["valid"], &data["enabled"], &data["name"], &data["expires"], &data["keyId"]),
        (&json!(false), &json!(false), &json!("one"), &json!(1), &json!(key.id))
    );
}

#[test]
fn the_checks_come_in_one_order() {
    let world = World::new();
    let (api, other) = (world.api_with(json!({"ipWhitelist": ["192.0.2.0/24"]})), world.api());
    let key = world.key(&api, json!({"enabled": false, "expires": 1}));
    let elsewhere = world.root_key(&[format!("api.{other}.verify_key")]);
    let ask = |fields: Value| {
        let mut body = json!({"key": key.plaintext});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let update = |mut fields: Value| {
        fields["keyId"] = json!(key.id);
        world.admin.ok("keys.updateKey", fields);
    };
    assert_eq!(elsewhere.ok("keys.verifyKey", ask(json!({}))), not_found());
    assert_eq!(world.admin.ok("keys.verifyKey", ask(json!({"apiId": other}))), not_found());
    assert_eq!(world.verdict(&key.plaintext), "DISABLED");
    update(json!({"enabled": true}));
    assert_eq!(world.verdict(&key.plaintext), "EXPIRED");
    update(json!({"expires": null}));
    assert_eq!(world.verdict(&key.plaintext), "FORBIDDEN");
    assert_eq!(verdict_of(&world.admin, ask(json!({"clientIp": "192.0.2.1"}))), "VALID");
}

#[test]
fn a_key_lives_until_the_moment_of_its_end() {
    let server = Options::default().start();
    let world = World::on(&server);
    let expires = (server.clock.now() + Duration::days(30)).timestamp_millis();
    let key = world.key(&world.api(), json!({"expires": expires}));
    let until = |clock_ms: i64| Duration::milliseconds(clock_ms - server.clock.now().timestamp_millis());
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    // Several walks over the end, in steps as small as a request.
    for _ in 0..3 {
        server.clock.advance(until(expires - 40));
        loop {
            let before = server.clock.now().timestamp_millis();
            let verdict = world.verdict(&key.plaintext);
            let after = server.clock.now().timestamp_millis();
            if after < expires {
                assert_eq!(verdict, "VALID", "{} ms before its end", expires - after);
            }
            if before >= expires {
                assert_eq!(verdict, "EXPIRED", "{} ms after its end", before - expires);
                break;
            }
        }
    }
    server.clock.advance(Duration::days(3650));
    assert_eq!(world.verdict(&key.plaintext), "EXPIRED");
}

/// No node keeps an answer of before: the very next verification knows, also on a server that had seen the key.
#[test]
fn every_change_decides_the_very_next_verification_and_soon_those_of_every_server() {
    let world = World::new();
    let second = Options::default().start();
    let elsewhere = Client::new(second.url()).bearer(world.admin.root_key());
    let api = world.api();
    let key = world.key(&api, json!({}));
    let everywhere = |expected: &str| {
        assert_eq!(verdict_of(&world.admin, json!({"key": key.plaintext})), expected);
        soon(expected.to_owned(), || verdict_of(&elsewhere, json!({"key": key.plaintext})));
    };
    let update = |mut fields: Value| {
        fields["keyId"] = json!(key.id);
        world.admin.ok("keys.updateKey", fields);
    };
    everywhere("VALID");
    update(json!({"enabled": false}));
    everywhere("DISABLED");
    update(json!({"enabled": true}));
    everywhere("VALID");
    update(json!({"expires": 1}));
    everywhere("EXPIRED");
    update(json!({"expires": null}));
    everywhere("VALID");
    world.admin.ok("apis.updateApi", json!({"apiId": api, "ipWhitelist": ["192.0.2.1"]}));
    everywhere("FORBIDDEN");
    world.admin.ok("apis.updateApi", json!({"apiId": api, "ipWhitelist": []}));
    everywhere("VALID");
    world.admin.ok("keys.deleteKey", json!({"keyId": key.id}));
    everywhere("NOT_FOUND");
}

#[test]
fn deleting_a_key_or_its_api_is_felt_at_once_and_soon_on_every_server() {
    let world = World::new();
    let second = Options::default().start();
    let elsewhere = Client::new(second.url()).bearer(world.admin.root_key());
    let api = world.api();
    let (erased, orphan) = (world.key(&api, json!({})), world.key(&api, json!({})));
    for key in [&erased, &orphan] {
        assert_eq!(verdict_of(&elsewhere, json!({"key": key.plaintext})), "VALID");
    }
    world.admin.ok("keys.deleteKey", json!({"keyId": erased.id, "permanent": true}));
    soon(not_found(), || elsewhere.ok("keys.verifyKey", json!({"key": erased.plaintext})));
    assert_eq!(world.verify(&erased.plaintext), not_found());
    world.admin.ok("apis.deleteApi", json!({"apiId": api}));
    soon(not_found(), || elsewhere.ok("keys.verifyKey", json!({"key": orphan.plaintext})));
    assert_eq!(world.verify(&orphan.plaintext), not_found());
}

#[test]
fn the_operators_hand_is_felt_at_once_and_soon_on_every_server() {
    let world = World::new();
    let second = Options::default().start();
    let key = world.key(&world.api(), json!({}));
    let body = json!({"key": key.plaintext});
    let (id, here) = world.root_key_until(&["api.*.verify_key"], None);
    let there = Client::new(second.url()).bearer(here.root_key());
    for client in [&here, &there] {
        assert_eq!(verdict_of(client, body.clone()), "VALID");
    }
    let everywhere = |status: u16, code: &str| {
        here.call("keys.verifyKey", body.clone()).refused(status, code);
        soon((status, code.to_owned()), || {
            let answer = there.call("keys.verifyKey", body.clone());
            (answer.status, answer.code().to_owned())
        });
    };
    operate(world.server, |tx| workspaces::set_enabled(tx, &world.name, false));
    everywhere(403, "unkey/authorization/workspace_disabled");
    operate(world.server, |tx| workspaces::set_enabled(tx, &world.name, true));
    everywhere(200, "");
    operate(world.server, |tx| root_keys::revoke(tx, &id));
    everywhere(401, "unkey/authentication/key_not_found");
}

#[test]
fn an_expired_root_key_verifies_nothing() {
    let server = Options::default().start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let ends = server.clock.now() + Duration::hours(1);
    let (_, client) = world.root_key_until(&["api.*.verify_key"], Some(ends));
    assert_eq!(verdict_of(&client, json!({"key": key.plaintext})), "VALID");
    server.clock.advance(Duration::hours(1));
    client.call("keys.verifyKey", json!({"key": key.plaintext})).refused(403, "unkey/authorization/forbidden");
}

#[test]
fn api_id_and_keyspaces_restrict_alone_and_together() {
    let world = World::new();
    let (api, other, third) = (world.api(), world.api(), world.api());
    let key = world.key(&api, json!({}));
    for (fields, expected) in [
        (json!({"apiId": api}), "VALID"),
        (json!({"apiId": other}), "NOT_FOUND"),
        (json!({"apiId": "api_that_never_was"}), "NOT_FOUND"),
        (json!({"keyspaces": [api]}), "VALID"),
        (json!({"keyspaces": [other, api]}), "VALID"),
        (json!({"keyspaces": [other, third]}), "NOT_FOUND"),
        (json!({"apiId": api, "keyspaces": [api, other]}), "VALID"),
        (json!({"apiId": api, "keyspaces": [other]}), "NOT_FOUND"),
        (json!({"apiId": other, "keyspaces": [api, other]}), "NOT_FOUND"),
    ] {
        let mut body = json!({"key": key.plaintext});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(verdict_of(&world.admin, body), expected, "{fields}");
    }
    let answer = world.admin.call("keys.verifyKey", json!({"key": key.plaintext, "keyspaces": []}));
    answer.refused(400, "unkey/application/invalid_input");
    assert_eq!(answer.locations(), ["body.keyspaces"]);
}

#[test]
fn a_root_key_for_one_api_sees_the_keys_of_no_other() {
    let world = World::new();
    let (api, other) = (world.api(), world.api());
    let (covered, uncovered) = (world.key(&api, json!({})), world.key(&other, json!({})));
    let client = world.root_key(&[format!("api.{api}.verify_key")]);
    assert_eq!(verdict_of(&client, json!({"key": covered.plaintext})), "VALID");
    assert_eq!(client.ok("keys.verifyKey", json!({"key": uncovered.plaintext})), not_found());
    assert_eq!(client.ok("keys.verifyKey", json!({"key": uncovered.plaintext, "apiId": other})), not_found());
}

#[test]
fn not_found_is_one_answer_whatever_the_reason() {
    let world = World::new();
    let (api, other, gone) = (world.api(), world.api(), world.api());
    let client = world.root_key(&[format!("api.{api}.verify_key"), format!("api.{gone}.verify_key")]);
    let (deleted, erased) = (world.key(&api, json!({})), world.key(&api, json!({})));
    let (uncovered, orphan) = (world.key(&other, json!({"enabled": false})), world.key(&gone, json!({})));
    world.admin.ok("keys.deleteKey", json!({"keyId": deleted.id}));
    world.admin.ok("keys.deleteKey", json!({"keyId": erased.id, "permanent": true}));
    world.admin.ok("apis.deleteApi", json!({"apiId": gone}));
    let stranger = World::new();
    let foreign = stranger.key(&stranger.api(), json!({}));
    let keys = [
        "never_made",
        &deleted.plaintext,
        &erased.plaintext,
        &uncovered.plaintext,
        &orphan.plaintext,
        &foreign.plaintext,
        client.root_key(),
    ];
    let names = |answer: &crate::harness::Answer| {
        let mut names: Vec<_> = answer.headers.keys().cloned().collect();
        names.sort();
        names
    };
    let unknown = client.call("keys.verifyKey", json!({"key": keys[0]}));
    for key in keys {
        let answer = client.call("keys.verifyKey", json!({"key": key}));
        assert_eq!(answer.data(), &not_found());
        assert_eq!(names(&answer), names(&unknown));
        assert_eq!(answer.text.len(), unknown.text.len());
    }
}

#[test]
fn an_allow_list_holds_addresses_and_ranges_of_both_families() {
    let world = World::new();
    let list = json!(["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "2001:db9::1"]);
    let key = world.key(&world.api_with(json!({"ipWhitelist": list})), json!({}));
    for (address, expected) in [
        ("192.0.2.7", "VALID"),
        ("::ffff:192.0.2.7", "VALID"),
        ("192.0.2.8", "FORBIDDEN"),
        ("10.255.255.255", "VALID"),
        ("11.0.0.0", "FORBIDDEN"),
        ("2001:db8:ffff::1", "VALID"),
        ("2001:0DB8::1", "VALID"),
        ("2001:db9::1", "VALID"),
        ("2001:db9::2", "FORBIDDEN"),
        ("::1", "FORBIDDEN"),
    ] {
        let data = world.admin.ok("keys.verifyKey", json!({"key": key.plaintext, "clientIp": address}));
        assert_eq!(data["code"], expected, "{address}");
        assert_eq!(data["valid"], expected == "VALID");
    }
    assert_eq!(world.verdict(&key.plaintext), "FORBIDDEN", "the tests' own address is not on the list");
}

#[test]
fn without_client_ip_the_caller_itself_is_tested() {
    let world = World::new();
    let key = world.key(&world.api_with(json!({"ipWhitelist": ["127.0.0.1"]})), json!({}));
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    assert_eq!(verdict_of(&world.admin, json!({"key": key.plaintext, "clientIp": "192.0.2.1"})), "FORBIDDEN");
}

#[test]
fn a_malformed_client_ip_is_refused_where_it_stands() {
    let world = World::new();
    for address in
        ["", "1", "localhost", "256.0.0.1", "1.2.3", "10.0.0.0/8", "1.2.3.4:80", "[::1]", "::g", ":::", "1.2.3.4 "]
    {
        let answer = world.admin.call("keys.verifyKey", json!({"key": "any", "clientIp": address}));
        answer.refused(400, "unkey/application/invalid_input");
        assert!(answer.locations().iter().all(|place| *place == "body.clientIp"), "{address}: {}", answer.text);
        assert!(!answer.locations().is_empty());
    }
}

#[test]
fn without_trusted_proxies_nobody_can_forge_an_address() {
    let world = World::new();
    let key = world.key(&world.api_with(json!({"ipWhitelist": ["198.51.100.7"]})), json!({}));
    for forged in ["198.51.100.7", "198.51.100.7, 127.0.0.1", "127.0.0.1, 198.51.100.7"] {
        let client = world.admin.clone().header("x-forwarded-for", forged);
        assert_eq!(verdict_of(&client, json!({"key": key.plaintext})), "FORBIDDEN", "{forged}");
    }
}

#[test]
fn trusted_proxies_are_believed_from_the_right_and_no_further() {
    let server = Options::default().flags("--trusted-proxies 127.0.0.0/8,10.0.0.0/8").start();
    let world = World::on(&server);
    let key = world.key(&world.api_with(json!({"ipWhitelist": ["198.51.100.7", "2001:db8::7"]})), json!({}));
    for (lines, expected) in [
        (&["198.51.100.7"][..], "VALID"),
        (&["198.51.100.7:4711"], "VALID"),
        (&["[2001:db8::7]:443"], "VALID"),
        (&["198.51.100.7, 10.1.1.1"], "VALID"),
        (&["203.0.113.5, 198.51.100.7, 10.1.1.1"], "VALID"),
        (&["203.0.113.5", "198.51.100.7"], "VALID"),
        (&["198.51.100.7, 203.0.113.5"], "FORBIDDEN"),
        (&["198.51.100.7, 203.0.113.5, 10.1.1.1"], "FORBIDDEN"),
        (&["198.51.100.7", "203.0.113.5"], "FORBIDDEN"),
        (&["198.51.100.7, nonsense"], "FORBIDDEN"),
        (&[""], "FORBIDDEN"),
        (&[], "FORBIDDEN"),
    ] {
        let client = lines.iter().fold(world.admin.clone(), |client, line| client.header("x-forwarded-for", line));
        assert_eq!(verdict_of(&client, json!({"key": key.plaintext})), expected, "{lines:?}");
    }
    // What the request says of the end user goes before what proxies say of the caller.
    let client = world.admin.clone().header("x-forwarded-for", "198.51.100.7");
    assert_eq!(verdict_of(&client, json!({"key": key.plaintext, "clientIp": "203.0.113.5"})), "FORBIDDEN");
}

#[test]
fn a_key_has_1_to_512_characters() {
    let world = World::new();
    for key in ["x".to_owned(), "x".repeat(512), "🔑".repeat(512), " ".to_owned()] {
        assert_eq!(world.verify(&key), not_found());
    }
    for key in [String::new(), "x".repeat(513), "🔑".repeat(513)] {
        let answer = world.admin.call("keys.verifyKey", json!({"key": key}));
        answer.refused(400, "unkey/application/invalid_input");
        assert_eq!(answer.locations(), ["body.key"]);
    }
    let answer = world.admin.call("keys.verifyKey", json!({}));
    assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.key"]);
}

#[test]
fn a_key_is_compared_to_the_letter() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"prefix": "sk_live"})).plaintext;
    assert_eq!(world.verdict(&key), "VALID");
    for other in [key.to_uppercase(), format!(" {key}"), format!("{key} "), key.replacen("sk_live_", "", 1)] {
        assert_eq!(world.verify(&other), not_found(), "{other:?}");
    }
}

#[test]
fn version_1_and_version_2_are_one() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"name": "one"}));
    for body in [json!({"key": key.plaintext}), json!({"key": "unknown"}), json!({"key": ""})] {
        let [one, two] = ["v1", "v2"].map(|version| {
            world.admin.post(&format!("/{version}/keys.verifyKey"), "application/json", body.to_string())
        });
        assert_eq!(one.status, two.status);
        assert_eq!(one.without_request_id(), two.without_request_id());
    }
}

#[test]
fn the_last_use_of_a_key_is_seen_within_seconds() {
    let world = World::new();
    let (api, started) = (world.api(), world.server.clock.now().timestamp_millis());
    let (used, unused) = (world.key(&api, json!({})), world.key(&api, json!({})));
    assert!(world.get_key(&used.id).get("lastUsedAt").is_none());
    world.verify(&used.plaintext);
    let at = eventually("the last use", || world.get_key(&used.id)["lastUsedAt"].as_i64());
    assert!((started..=world.server.clock.now().timestamp_millis()).contains(&at));
    let shown = world.get_key(&unused.id);
    assert!(shown.get("lastUsedAt").is_none() && shown.get("updatedAt").is_none(), "{shown}");
    assert!(world.get_key(&used.id).get("updatedAt").is_none(), "a use is no change");
    assert!(!world.audit().iter().any(|event| event == "key.update"));
}

#[test]
fn verifying_changes_nothing() {
    let world = World::new();
    let key = world.key(&world.api(), json!({}));
    let before = world.everything();
    world.verify(&key.plaintext);
    world.verify("unknown");
    assert_eq!(world.everything(), before);
}
