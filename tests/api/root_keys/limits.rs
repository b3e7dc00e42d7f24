//! The limits of a workspace: how many keys and root keys it may have, and how the operator sets them.

use super::keyward;
use super::minted;
use super::refused;
use super::stdout;
use crate::harness::World;
use serde_json::Value;
use serde_json::json;

const ROOT_KEYS: &str = "unkey/limits/root_keys_limit_exceeded";
const KEYS: &str = "unkey/limits/keys_limit_exceeded";

fn limit(world: &World<'_>, arguments: &[&str]) {
    stdout(&keyward(world, &[&["workspace", "limit", &world.name], arguments].concat()));
}

#[test]
fn the_refusal_says_which_limit_its_value_and_who_can_raise_it() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    limit(&world, &["--keys", "1", "--root-keys", "1"]);
    let mint = json!({"permissions": []});
    for (operation, body, code, name, flag) in [
        ("rootKeys.createKey", mint.clone(), ROOT_KEYS, "rootKeysMax", "--root-keys"),
        ("keys.createKey", json!({"apiId": api}), KEYS, "keysMax", "--keys"),
        ("keys.rerollKey", json!({"keyId": key.id, "expiration": 0}), KEYS, "keysMax", "--keys"),
    ] {
        let error = refused(&world, &world.admin, operation, body, 403, code);
        let detail = error["detail"].as_str().unwrap();
        for part in [name, " 1 ", "operator", "keyward workspace limit", flag] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
    }
    limit(&world, &["--root-keys", "2"]);
    let (id, _) = minted(&world, &world.admin, mint.clone());
    refused(&world, &world.admin, "rootKeys.rerollKey", json!({"keyId": id, "expiration": 0}), 403, ROOT_KEYS);
    // A disabled one counts, a deleted one does not.
    world.admin.ok("rootKeys.updateKey", json!({"keyId": id, "enabled": false}));
    refused(&world, &world.admin, "rootKeys.createKey", mint.clone(), 403, ROOT_KEYS);
    world.admin.ok("rootKeys.deleteKey", json!({"keyId": id}));
    minted(&world, &world.admin, mint.clone());
    // The operator is not limited.
    stdout(&keyward(&world, &["root-key", "create", "--workspace", &world.name, "--permissions", ""]));
    limit(&world, &["--root-keys", "unlimited"]);
    minted(&world, &world.admin, mint);
    // What may not be asked for is told before the limit.
    limit(&world, &["--root-keys", "0"]);
    let beyond = world.root_key(&["root_key.*.create_root_key"]);
    let body = json!({"permissions": ["api.*.read_key"]});
    refused(&world, &beyond, "rootKeys.createKey", body, 403, "unkey/authorization/insufficient_permissions");
}

/// Calls at once; how many were answered 200. All others were refused with this code.
fn at_once(world: &World<'_>, times: usize, operation: &str, body: &Value, code: &str) -> usize {
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..times).map(|_| scope.spawn(|| world.admin.call(operation, body.clone()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    for answer in refused {
        answer.refused(403, code);
    }
    made.len()
}

#[test]
fn limits_are_exact_when_everybody_creates_at_once() {
    let world = World::new();
    let api = world.api();
    limit(&world, &["--keys", "5", "--root-keys", "6"]);
    assert_eq!(at_once(&world, 20, "keys.createKey", &json!({"apiId": api}), KEYS), 5);
    // The admin's own is the first of the six.
    assert_eq!(at_once(&world, 20, "rootKeys.createKey", &json!({"permissions": []}), ROOT_KEYS), 5);
    let count = |table: &str| world.rows(&format!("SELECT id FROM {table} WHERE workspace_id = $ws")).len();
    assert_eq!((count("keys"), count("root_keys")), (5, 6));
}

#[test]
fn the_operator_sets_at_least_one_limit_and_sees_all() {
    let world = World::new();
    assert_eq!(keyward(&world, &["workspace", "limit", &world.name]).status.code(), Some(2));
    for bad in ["-1", "2147483648", "many"] {
        let output = keyward(&world, &["workspace", "limit", &world.name, &format!("--keys={bad}")]);
        assert_eq!(output.status.code(), Some(2), "{bad}");
    }
    assert_eq!(keyward(&world, &["workspace", "limit", "nowhere", "--keys", "1"]).status.code(), Some(4));
    limit(&world, &["--requests-per-minute", "1000", "--keys", "2147483647", "--root-keys", "0"]);
    limit(&world, &["--keys", "unlimited"]);
    let listed = stdout(&keyward(&world, &["--json", "workspace", "list"]));
    let rows: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let row = rows.iter().find(|row| row["name"] == world.name).unwrap();
    assert_eq!(
        (&row["requestsPerMinute"], &row["keysMax"], &row["rootKeysMax"]),
        (&json!(1000), &json!(null), &json!(0))
    );
    let table = stdout(&keyward(&world, &["workspace", "list"]));
    assert!(table.lines().next().unwrap().ends_with("ROOT KEYS"));
    let audit = super::newest_audit(&world);
    assert_eq!(audit["event"], "workspace.update");
    assert!(audit["display"].as_str().unwrap().ends_with(": keys to unlimited"), "{audit}");
}

#[test]
fn the_command_line_lists_every_permission_once() {
    let world = World::new();
    let text = stdout(&keyward(&world, &["permissions", "list"]));
    let tuples: Vec<_> = text.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
    let all: Vec<_> = keyward::authz::action::Action::ALL.iter().map(|action| action.on("*")).collect();
    assert_eq!(tuples, all);
    let groups: Vec<Value> =
        serde_json::from_str(&stdout(&keyward(&world, &["--json", "permissions", "list"]))).unwrap();
    let listed: usize = groups.iter().map(|group| group["permissions"].as_array().unwrap().len()).sum();
    assert_eq!(listed, all.len());
    assert_eq!(groups[0]["permissions"][0], json!({"permission": "api.*.create_api", "id": null}));
    assert_eq!(groups[0]["permissions"][1]["id"], "the id of an API");
}
