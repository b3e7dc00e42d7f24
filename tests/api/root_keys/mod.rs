//! `rootKeys.*` and `workspace.*`, one file an operation.

mod create_key;
mod delete_key;
mod get_key;
mod get_limits;
mod last_minter;
mod limits;
mod list_keys;
mod reroll_key;
mod update_key;
mod whoami;

use crate::harness::Client;
use crate::harness::World;
use serde_json::Value;
use std::process::Command;
use std::process::Output;

/// What every root key of these tests may do that manages others.
const MANAGER: [&str; 4] = [
    "root_key.*.create_root_key",
    "root_key.*.read_root_key",
    "root_key.*.update_root_key",
    "root_key.*.delete_root_key",
];

/// A client with these permissions beside those of a manager.
fn manager(world: &World<'_>, more: &[&str]) -> Client {
    world.root_key(&[&MANAGER, more].concat())
}

/// A root key minted by somebody: its id, and a client that uses it.
fn minted(world: &World<'_>, by: &Client, body: Value) -> (String, Client) {
    taken(world, &by.ok("rootKeys.createKey", body))
}

/// The new root key of an answer.
fn taken(world: &World<'_>, data: &Value) -> (String, Client) {
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    (text("keyId"), world.anonymous().bearer(text("key")))
}

/// Calls, and shows that a refusal changed nothing.
#[track_caller]
fn refused(world: &World<'_>, by: &Client, operation: &str, body: Value, status: u16, code: &str) -> Value {
    let before = world.everything();
    let answer = by.call(operation, body);
    answer.refused(status, code);
    assert_eq!(before, world.everything(), "{operation} was refused and changed something");
    answer.body["error"].clone()
}

/// The newest row of the audit log.
fn newest_audit(world: &World<'_>) -> Value {
    world.rows("SELECT * FROM audit_log WHERE workspace_id = $ws ORDER BY id DESC LIMIT 1").remove(0)
}

/// Runs the command line on the world's database.
fn keyward(world: &World<'_>, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keyward"))
        .args(arguments)
        .env("DATABASE_URL", &world.server.database)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}
