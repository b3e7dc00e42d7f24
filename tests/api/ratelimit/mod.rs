//! `ratelimit.*`, one file an operation.

mod delete_namespace;
mod delete_override;
mod fallback;
mod get_namespace;
mod get_override;
mod limit;
mod list_namespaces;
mod list_overrides;
mod multi_limit;
mod precedence;
mod set_override;

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use chrono::Duration;
use serde_json::Value;
use serde_json::json;

pub const HOUR_MS: i64 = 3_600_000;
/// The longest window: none ends while a test runs.
pub const MONTH_MS: i64 = 2_592_000_000;

/// A request of `limit` for one token of a window of a month.
pub fn ask(namespace: &str, identifier: &str, limit: i64) -> Value {
    json!({"namespace": namespace, "identifier": identifier, "limit": limit, "duration": MONTH_MS})
}

/// The same with further fields, or others.
pub fn ask_with(mut body: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// `success` and `remaining` of a call of `limit`.
pub fn limited(client: &Client, body: Value) -> (bool, i64) {
    let data = client.ok("ratelimit.limit", body);
    (data["success"].as_bool().unwrap(), data["remaining"].as_i64().unwrap())
}

/// A new namespace; returns its id.
pub fn namespace(world: &World<'_>, name: &str) -> String {
    world.admin.ok("ratelimit.limit", ask_with(ask(name, "nobody", 1), json!({"cost": 0})));
    id_of(world, name)
}

/// Id of a namespace.
pub fn id_of(world: &World<'_>, name: &str) -> String {
    world.admin.ok("ratelimit.getNamespace", json!({"namespace": name}))["id"].as_str().unwrap().to_owned()
}

/// Sets an override with a window of a month; returns its id.
pub fn set_override(world: &World<'_>, namespace: &str, identifier: &str, limit: i64) -> String {
    let data = world.admin.ok("ratelimit.setOverride", ask(namespace, identifier, limit));
    data["overrideId"].as_str().unwrap().to_owned()
}

/// What a server's clock shows.
pub fn now_ms(server: &Server) -> i64 {
    server.clock.now().timestamp_millis()
}

/// Moves the clock of a server to the next window, so many hundredths into it and a few milliseconds.
pub fn move_into_next_window(server: &Server, duration_ms: i64, hundredths: i64) {
    let now = now_ms(server);
    let target = (now / duration_ms + 1) * duration_ms + duration_ms / 100 * hundredths;
    server.clock.advance(Duration::milliseconds(target - now));
}
