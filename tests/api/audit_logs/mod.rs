//! The audit log: what it holds, how it is sealed, read, verified and pruned.

mod canary;
mod changes;
mod list_events;
mod retention;
mod sealing;
mod tampering;

use crate::harness::World;
use crate::harness::eventually;
use keyward::domain::audit_log::verify;
use keyward::domain::audit_log::verify::Anchor;
use keyward::domain::audit_log::verify::Report;
use keyward::model::audit::row::ChainHash;
use keyward::store;
use serde_json::json;

/// Waits until every row of a workspace is sealed; how many there are.
pub fn sealed(world: &World<'_>) -> i64 {
    let query = "SELECT count(*) AS rows, count(sequence) AS sealed FROM audit_log WHERE workspace_id = $ws";
    eventually("every row is sealed", || {
        let counts = &world.rows(query)[0];
        (counts["rows"] == counts["sealed"]).then(|| counts["rows"].as_i64().unwrap())
    })
}

/// Verifies the log of a workspace.
pub fn report(world: &World<'_>, anchors: &[Anchor]) -> Report {
    let id = world.workspace.clone();
    let db = &world.server.app.db;
    db.view_now(|tx| {
        let workspace = store::workspaces::get(tx, &id)?;
        verify::verify(tx, &workspace, anchors)
    })
    .unwrap()
}

/// The end of the chain of a workspace, once everything is sealed.
pub fn anchor(world: &World<'_>) -> Anchor {
    sealed(world);
    world.server.app.db.view_now(|tx| verify::anchor(tx, &world.workspace)).unwrap().unwrap()
}

/// Another hash than any.
pub fn wrong_hash() -> ChainHash {
    ChainHash::parse(&"ab".repeat(32)).unwrap()
}

/// Renames an API as often as that, each a row.
pub fn rows(world: &World<'_>, api: &str, count: usize) {
    for number in 0..count {
        world.admin.ok("apis.updateApi", json!({"apiId": api, "name": format!("name {number}")}));
    }
}
