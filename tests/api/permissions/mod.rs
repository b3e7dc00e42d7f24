//! `permissions.*`, one file an operation.

mod create_permission;
mod create_role;
mod delete_permission;
mod delete_role;
mod get_permission;
mod get_role;
mod list_permissions;
mod list_roles;
mod set_role_permissions;
mod update_permission;
mod update_role;

use crate::harness::Answer;
use crate::harness::World;
use serde_json::Value;
use serde_json::json;

/// A new permission with this slug; returns its id.
pub fn permission(world: &World<'_>, slug: &str) -> String {
    let data = world.admin.ok("permissions.createPermission", json!({"name": slug, "slug": slug}));
    data["permissionId"].as_str().unwrap().to_owned()
}

/// A new role of this name with these permissions; returns its id.
pub fn role(world: &World<'_>, name: &str, slugs: &[&str]) -> String {
    let data = world.admin.ok("permissions.createRole", json!({"name": name, "permissions": slugs}));
    data["roleId"].as_str().unwrap().to_owned()
}

/// The audit events of one request, which share its id, sorted.
pub fn events_of(world: &World<'_>, answer: &Answer) -> Vec<String> {
    let request = answer.body["meta"]["requestId"].as_str().unwrap();
    let query = format!("SELECT event FROM audit_log WHERE workspace_id = $ws AND correlation_id = '{request}'");
    let mut events: Vec<_> = world.rows(&query).iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect();
    events.sort();
    events
}

/// What the newest audit row says.
pub fn last_display(world: &World<'_>) -> String {
    let rows = world.rows("SELECT display FROM audit_log WHERE workspace_id = $ws ORDER BY id DESC LIMIT 1");
    rows[0]["display"].as_str().unwrap().to_owned()
}

/// `slug` of permissions, `name` of roles, as they come.
pub fn labels(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

/// Does something several times at the same moment.
pub fn at_once<T: Send>(times: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = std::sync::Barrier::new(times);
    std::thread::scope(|scope| {
        let (act, barrier) = (&act, &barrier);
        let start = |index| {
            scope.spawn(move || {
                barrier.wait();
                act(index)
            })
        };
        let threads: Vec<_> = (0..times).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Shows that a body is refused because of these places, and that nothing changes.
#[track_caller]
pub fn invalid(world: &World<'_>, operation: &str, body: Value, locations: &[&str]) {
    let before = world.everything();
    let answer = world.admin.call(operation, body);
    answer.refused(400, "unkey/application/invalid_input");
    assert_eq!(answer.locations(), locations, "{}", answer.text);
    assert_eq!(before, world.everything());
}
