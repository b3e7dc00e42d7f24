//! `keyward simulate`: each flag means what its field means over HTTP, and the exit code is the verdict.

use crate::harness::World;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::server::Options;
use serde_json::Value;
use serde_json::json;

/// What differs between any two answers.
fn timeless(mut data: Value) -> Value {
    data["data"] = Value::Null;
    for limit in data["required"]["ratelimits"].as_array_mut().into_iter().flatten() {
        limit["reset"] = Value::Null;
    }
    data
}

/// Runs the command and asks the same over HTTP; returns whether it is allowed.
#[track_caller]
fn both(world: &World<'_>, arguments: &[&str], request: Value) -> bool {
    let command = arguments.iter().fold(keyward("simulate --json"), |command, argument| command.arg(argument));
    let ran = command.database(&world.server.database).run();
    let (code, said) = (ran.code, ran.stderr.clone());
    assert_eq!(said, "", "{arguments:?}");
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    let answered = world.admin.ok("decisions.simulate", request);
    assert_eq!(timeless(printed), timeless(answered.clone()), "{arguments:?}");
    let allowed = answered["allowed"].as_bool().unwrap();
    assert_eq!(code, Some(if allowed { 0 } else { 3 }), "{arguments:?}");
    allowed
}

#[test]
fn every_flag_is_its_field_and_the_exit_code_is_the_verdict() {
    let server = Options::default().database(postgres::fresh_database()).start();
    let world = World::on(&server);
    let api = world.api();
    let limits = json!([{"name": "exports", "limit": 5, "duration": 3_600_000}]);
    world.admin.ok("permissions.createRole", json!({"name": "editor", "permissions": ["documents.write"]}));
    let made = json!({"externalId": "jane", "roles": ["editor"], "credits": {"remaining": 3}, "ratelimits": limits});
    let key = world.key(&api, made);
    let id = key.id.as_str();
    let write = "documents.write";
    let ask = |more: Value| {
        let mut request = json!({"keyId": id, "permissions": write});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let plain = ["--key", id, "--permissions", write];
    let with = |more: &[&'static str]| plain.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    assert!(both(&world, &plain, ask(json!({}))));
    assert!(!both(&world, &with(&["--if-revoke", "documents.write"]), ask(json!({"if": {"revoke": [write]}}))));
    assert!(!both(&world, &with(&["--if-without-role", "editor"]), ask(json!({"if": {"removeRoles": ["editor"]}}))));
    let roles =
        json!({"if": {"revoke": ["x"], "grant": ["a", "b"], "addRoles": ["editor"], "removeRoles": ["editor"]}});
    let flags = [
        "--if-revoke",
        "x",
        "--if-grant",
        "a",
        "--if-grant",
        "b",
        "--if-role",
        "editor",
        "--if-without-role",
        "editor",
    ];
    assert!(both(&world, &with(&flags), ask(roles)));
    assert!(!both(&world, &with(&["--if-enabled", "false"]), ask(json!({"if": {"enabled": false}}))));
    assert!(!both(&world, &with(&["--if-owner-enabled", "false"]), ask(json!({"if": {"ownerEnabled": false}}))));
    assert!(!both(&world, &with(&["--cost", "4"]), ask(json!({"credits": {"cost": 4}}))));
    let credits = json!({"credits": {"cost": 4}, "if": {"credits": 4}});
    assert!(both(&world, &with(&["--cost", "4", "--if-credits", "4"]), ask(credits)));
    let unlimited = json!({"credits": {"cost": 4}, "if": {"credits": null}});
    assert!(both(&world, &with(&["--cost", "4", "--if-credits", "unlimited"]), ask(unlimited)));
    assert!(!both(
        &world,
        &with(&["--ratelimit", "exports=6"]),
        ask(json!({"ratelimits": [{"name": "exports", "cost": 6}]}))
    ));
    assert!(both(&world, &with(&["--ratelimit", "exports"]), ask(json!({"ratelimits": [{"name": "exports"}]}))));
    assert!(both(&world, &with(&["--client-ip", "192.0.2.7"]), ask(json!({"clientIp": "192.0.2.7"}))));
    assert!(both(&world, &with(&["--if-expires", "never"]), ask(json!({"if": {"expires": null}}))));
    let (later, end) = (4_102_444_800_000_i64, 4_000_000_000_000_i64);
    let ends = ["--at", "2100-01-01", "--if-expires", "2096-10-02T07:06:40Z"];
    assert!(!both(&world, &with(&ends), ask(json!({"time": later, "if": {"expires": end}}))));

    let owner = ["--workspace", world.name.as_str(), "--external-id", "jane", "--permissions", write];
    assert!(!both(&world, &owner, json!({"externalId": "jane", "permissions": write})));
    let supposed = json!({"externalId": "jane", "permissions": write, "if": {"grant": [write]}});
    assert!(both(&world, &[&owner[..], &["--if-grant", write]].concat(), supposed));

    let (root_key, _) = world.root_key_until(&["api.*.read_api"], None);
    let call = ["--root-key", root_key.as_str(), "--operation", "keys.createKey", "--resource", api.as_str()];
    let request = json!({"rootKeyId": root_key, "operation": "keys.createKey", "resource": api});
    assert!(!both(&world, &call, request.clone()));
    let mut supposed = request;
    supposed["if"] = json!({"grant": ["api.*.create_key"]});
    assert!(both(&world, &[&call[..], &["--if-grant", "api.*.create_key"]].concat(), supposed));
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    for arguments in [
        "simulate --key key_1 --root-key root_1 --operation keys.createKey",
        "simulate --key key_1 --operation keys.createKey",
        "simulate --root-key root_1",
        "simulate --root-key root_1 --operation keys.createKey --permissions a",
        "simulate --external-id jane",
        "simulate --external-id jane --workspace acme --if-credits 1",
        "simulate --key key_1 --if-credits many",
        "simulate --key key_1 --if-expires yesterday",
        "simulate --key key_1 --ratelimit a=b",
        "simulate --key key_1 --cost -1",
    ] {
        let ran = keyward(arguments).database("postgres://nobody@127.0.0.1:1/none").run();
        assert_eq!(ran.code, Some(2), "{arguments}: {}", ran.stderr);
        assert!(!ran.stderr.trim().is_empty(), "{arguments}");
    }
}
