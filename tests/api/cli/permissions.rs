//! `keyward permissions for`: what it prints is enough, and nothing of it can be left out.

use crate::cli::acme;
use crate::cli::error;
use crate::cli::mint;
use crate::cli::serve_on;
use crate::harness::Client;
use crate::harness::keyward;
use crate::harness::process::folder;
use keyward::http::operations::OPERATIONS;
use serde_json::Value;
use serde_json::json;
use std::fs;

/// A curl script that makes an API with a role in it and a key, asks for it and uses it.
const SCRIPT: &str = r#"#!/bin/sh
# deletes nothing: keys.deleteKey
ROLE=$(curl -sS "$URL/v2/permissions.createRole" -H "Authorization: Bearer $ROOT_KEY" -d '{"name":"support"}')
API=$(curl -sS "$URL/v2/apis.createApi" -d '{"name":"payments"}')
curl -sS "$URL/v1/keys.createKey" -d '{"apiId":"api_1","recoverable":false}'
curl -sS "$URL/v2/keys.verifyKey" -d '{"key":"k"}'; curl "$URL/v2/keys.verifyKey" -d '{"key":"k"}'
"#;

fn needed(arguments: &str) -> Value {
    keyward(&format!("permissions for --json {arguments}")).run().json()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_least_permissions_of_each_operation_are_those_of_the_table() {
    for operation in OPERATIONS {
        let answer = needed(operation.name);
        let mut expected: Vec<_> = operation.needs.iter().map(|action| action.on("*")).collect();
        expected.sort();
        let mut found = texts(&answer["permissions"]);
        found.sort_unstable();
        assert_eq!(found, expected, "{}", operation.name);
        assert_eq!(answer["conditional"].as_array().unwrap().len(), operation.also.len(), "{}", operation.name);
    }
}

#[test]
fn a_script_runs_with_what_is_printed_and_not_with_less() {
    let folder = folder();
    let file = folder.path().join("script.sh");
    fs::write(&file, SCRIPT).unwrap();
    let answer = keyward("permissions for --json --for-script").arg(&file).run().json();
    let operations = ["apis.createApi", "keys.createKey", "keys.verifyKey", "permissions.createRole"];
    let permissions = ["api.*.create_api", "api.*.create_key", "api.*.verify_key", "rbac.*.create_role"];
    assert_eq!(answer["operations"], json!(operations));
    assert_eq!(answer["permissions"], json!(permissions));
    assert_eq!(
        answer["conditional"][0],
        json!({"permission": "api.*.encrypt_key", "operation": "keys.createKey", "condition": "if `recoverable` is true"})
    );
    // The command that is printed is run as it is, but for the name of the workspace.
    let url = acme();
    let server = serve_on(&url);
    let command = answer["command"].as_str().unwrap();
    let list = command.strip_prefix("keyward root-key create --workspace NAME-OR-ID --permissions '").unwrap();
    let list = list.strip_suffix('\'').unwrap();
    let run = |client: &Client| {
        let api = client.call("apis.createApi", json!({"name": "payments"}));
        let id = api.data()["apiId"].as_str().unwrap_or("api_1").to_owned();
        let answers = [
            client.call("permissions.createRole", json!({"name": "support"})),
            client.call("keys.createKey", json!({"apiId": id, "recoverable": false})),
            client.call("keys.verifyKey", json!({"key": "k"})),
            api,
        ];
        answers.map(|answer| answer.status)
    };
    assert_eq!(run(&Client::new(server.url()).bearer(mint(&url, &format!("--permissions {list}")))), [200; 4]);
    for left_out in permissions {
        let less: Vec<_> = permissions.iter().filter(|permission| **permission != left_out).copied().collect();
        let client = Client::new(server.url()).bearer(mint(&url, &format!("--permissions {}", less.join(","))));
        assert!(run(&client).contains(&403), "{left_out}");
    }
}

#[test]
fn people_read_who_needs_what_and_copy_the_last_line() {
    let printed = keyward("permissions for keys.createKey /v2/keys.verifyKey rootKeys.createKey").run().ok().stdout;
    let expected = "\
PERMISSION                   NEEDED BY
api.*.create_key             keys.createKey
api.*.verify_key             keys.verifyKey
root_key.*.create_root_key   rootKeys.createKey
";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed(&printed).starts_with(&squeezed(expected)), "{printed}");
    assert!(squeezed(&printed).contains("api.*.encrypt_key keys.createKey if `recoverable` is true"), "{printed}");
    assert!(printed.contains("gives to others only what it holds"), "{printed}");
    let command = "keyward root-key create --workspace NAME-OR-ID --permissions \
        'api.*.create_key,api.*.verify_key,root_key.*.create_root_key'";
    assert_eq!(printed.lines().last(), Some(command));
    let with_all = needed("keys.createKey --conditional");
    assert_eq!(texts(&with_all["permissions"]), ["api.*.create_key", "api.*.encrypt_key"]);
    assert_eq!(with_all["conditional"], json!([]));
    let none = keyward("permissions for rootKeys.whoami").run().ok().stdout;
    assert!(none.contains("every root key may") && none.ends_with("--permissions ''\n"), "{none}");
}

#[test]
fn what_is_no_operation_is_refused_with_the_nearest_one() {
    let said = keyward("permissions for keys.createkey").run().fails(2);
    assert_eq!(said, "keyward: there is no operation `keys.createkey`; did you mean keys.createKey?\n");
    let refused = error(keyward("permissions for --json keys.verify").run(), 2);
    assert!(refused["message"].as_str().unwrap().ends_with("did you mean keys.verifyKey?"), "{refused}");
    let folder = folder();
    let file = folder.path().join("script.sh");
    fs::write(&file, "curl h/v2/keys.createKey\ncurl h/v2/keys.rotateKey").unwrap();
    let said = keyward("permissions for --for-script").arg(&file).run().fails(2);
    assert!(said.contains("line 2: there is no operation `keys.rotateKey`"), "{said}");
    // stdin is empty here.
    assert!(keyward("permissions for --for-script -").run().fails(2).contains("no operation was found"));
    let said = keyward("permissions for --for-script /nowhere/at/all").run().fails(1);
    assert!(said.contains("/nowhere/at/all") && said.lines().count() == 1, "{said}");
    keyward("permissions for").run().fails(2);
}
