//! The change that a record names is real: it is made as it is written there, and the same request passes.

use crate::decisions::of_denied;
use crate::decisions::of_verified;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::operate;
use crate::harness::server::Options;
use chrono::Duration;
use keyward::domain::workspaces;
use keyward::model::workspace::LimitChanges;
use serde_json::Value;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Runs a line of a record as a reader would: in a shell, with what it says is in the environment.
fn run(world: &World<'_>, line: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_keyward")).parent().unwrap().display();
    let output = Command::new("sh")
        .args(["-ec", &format!("PATH=$PROGRAMS:$PATH\n{line}")])
        .env("PROGRAMS", programs.to_string())
        .env("SERVER", world.server.url())
        .env("ROOT_KEY", world.admin.root_key())
        .env("DATABASE_URL", &world.server.database)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success() && !printed.contains("\"error\""), "{line}\n{printed}\n{output:?}");
    printed
}

fn curl(world: &World<'_>, record: &Value) -> String {
    run(world, record["change"]["curl"].as_str().unwrap_or_else(|| panic!("{record:#}")))
}

fn cli(world: &World<'_>, record: &Value) -> String {
    run(world, record["change"]["cli"].as_str().unwrap_or_else(|| panic!("{record:#}")))
}

#[test]
fn what_a_record_of_a_key_names_lets_the_same_verification_pass() {
    let world = World::new();
    let (admin, api) = (&world.admin, world.api());
    let listed = world.api_with(json!({"ipWhitelist": ["192.0.2.0/24", "2001:db8::1"]}));
    let limits = |name: &str| json!([{"name": name, "limit": 1, "duration": 600_000, "autoApply": true}]);
    let owned = world.key(&api, json!({"externalId": "it.is_one"}));
    let owner = json!({"identity": "it.is_one", "enabled": false});
    admin.ok("identities.updateIdentity", owner);
    let shared = world.key(&api, json!({"externalId": "sharing"}));
    admin.ok("identities.updateIdentity", json!({"identity": "sharing", "ratelimits": limits("shared")}));
    let limited = world.key(&api, json!({"ratelimits": limits("own")}));
    let named = json!([{"name": "own", "cost": 3}]);
    for (key, mut body) in [
        (world.key(&api, json!({"enabled": false})), json!({})),
        (world.key(&api, json!({"expires": 1000})), json!({})),
        (owned, json!({})),
        (world.key(&listed, json!({})), json!({"clientIp": "198.51.100.7"})),
        (world.key(&api, json!({"permissions": ["a"]})), json!({"permissions": "a AND b AND (c OR d)"})),
        (world.key(&api, json!({"credits": {"remaining": 2}})), json!({"credits": {"cost": 5}})),
        (limited, json!({"ratelimits": named})),
        (shared, json!({})),
    ] {
        body["key"] = json!(key.plaintext);
        // What limits must first be used up.
        let denied = eventually("it is denied", || {
            let answer = admin.call("keys.verifyKey", body.clone());
            (answer.data()["valid"] == false).then_some(answer)
        });
        let record = of_verified(admin, admin, body.clone());
        curl(&world, &record);
        let after = admin.ok("keys.verifyKey", body.clone());
        assert_eq!(after["code"], "VALID", "{record:#}\n{}", denied.text);
    }
}

#[test]
fn what_a_record_of_a_root_key_names_lets_the_same_call_pass() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let admin = &world.admin;
    let (id, disabled) = world.root_key_until(&["api.*.read_api"], None);
    admin.ok("rootKeys.updateKey", json!({"keyId": id, "enabled": false}));
    let update = json!({"keyId": key.id, "permissions": ["new"]});
    for (caller, operation, body) in [
        (world.root_key::<&str>(&[]), "apis.listApis", json!({})),
        (disabled, "apis.listApis", json!({})),
        (world.root_key(&["api.*.read_key"]), "apis.getApi", json!({"apiId": api})),
        // Rule 1 first: the API of the key is not known before something is held.
        (world.root_key(&["api.*.read_key", "api.api_1.update_key"]), "keys.updateKey", json!({"keyId": key.id})),
        (
            world.root_key(&[&*format!("api.{api}.update_key"), "rbac.*.add_permission_to_key"]),
            "keys.addPermissions",
            update,
        ),
        (
            world.root_key(&["root_key.*.create_root_key", "api.api_1.read_key"]),
            "rootKeys.createKey",
            json!({"permissions": ["api.*.read_key", "api.api_1.read_key", "api.api_2.read_api"]}),
        ),
    ] {
        let record = of_denied(admin, &caller, operation, body.clone());
        let minted = record["change"]["cli"].as_str().map(|_| cli(&world, &record));
        if let Some(minted) = minted {
            // A new root key in its place may do it before the old one does.
            let bearer = minted.lines().last().unwrap().to_owned();
            Client::new(world.server.url()).bearer(bearer).ok(operation, body.clone());
        }
        curl(&world, &record);
        caller.ok(operation, body);
    }
}

#[test]
fn what_the_operator_has_to_do_is_a_command_that_does_it() {
    let server = Options::default().start();
    let world = World::on(&server);
    let admin = &world.admin;
    let api = world.api();
    let limits = LimitChanges { keys_max: Some(Some(0)), root_keys_max: Some(Some(1)), ..LimitChanges::default() };
    operate(&server, |tx| workspaces::set_limits(tx, world.workspace.as_str(), &limits));
    for (operation, body) in
        [("keys.createKey", json!({"apiId": api})), ("rootKeys.createKey", json!({"permissions": []}))]
    {
        let record = of_denied(admin, admin, operation, body.clone());
        cli(&world, &record);
        admin.ok(operation, body);
    }
    let end = server.clock.now() + Duration::seconds(5);
    let (_, expiring) = world.root_key_until(&["api.*.read_api"], Some(end));
    server.clock.advance(Duration::seconds(6));
    let record = of_denied(admin, &expiring, "apis.listApis", json!({}));
    let bearer = cli(&world, &record);
    Client::new(server.url()).bearer(bearer.lines().last().unwrap()).ok("apis.listApis", json!({}));
}
