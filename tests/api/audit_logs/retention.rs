//! What is old goes, what is left can be verified, and a checkpoint says where it begins.

use super::anchor;
use super::report;
use super::rows;
use super::sealed;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::operate;
use crate::harness::postgres;
use crate::harness::server::Options;
use chrono::Duration;
use keyward::store;
use serde_json::Value;
use serde_json::json;

/// Moves the clock of a server back, so that what happens now is old by the database's.
fn ago(world: &World<'_>, days: i64) {
    world.server.clock.advance(-Duration::days(days));
}

#[test]
fn old_rows_go_and_the_rest_stays_verifiable() {
    let options = || Options::default().database(postgres::fresh_database()).flags("--audit-retention-days 30");
    let server = options().start();
    let present = World::on(&server);
    ago(&present, 40);
    let world = World::on(&server);
    let api = world.api();
    rows(&world, &api, 5);
    let old = anchor(&world);
    server.clock.advance(Duration::days(20));
    rows(&world, &api, 3);
    let young = anchor(&world);
    assert!(report(&world, &[old.clone(), young.clone()]).intact, "nothing is old yet");
    server.clock.advance(Duration::days(20));
    eventually("what is older than 30 days goes", || {
        let query = "SELECT min(sequence) AS first FROM audit_log WHERE workspace_id = $ws";
        (world.rows(query)[0]["first"] == old.sequence + 1).then_some(())
    });
    rows(&world, &api, 2);
    sealed(&world);
    let kept = report(&world, std::slice::from_ref(&young));
    assert!(kept.intact && kept.anchors == 1, "{kept:?}");
    assert_eq!(kept.dropped.unwrap().sequence, old.sequence);
    // The anchor of the last dropped row is the last that still proves something.
    assert!(report(&world, std::slice::from_ref(&old)).intact);
    let events = world.admin.ok("auditLogs.listEvents", json!({}));
    assert_eq!(events[0]["previousHash"], old.hash.to_string());
    let prune = world.admin.ok("auditLogs.listEvents", json!({"event": "auditLog.prune"}));
    assert_eq!(prune.as_array().unwrap().len(), 1, "{prune}");
    assert_eq!(prune[0]["actor"]["type"], "system");
    let told = |field: &str| {
        let changes = prune[0]["changes"].as_array().unwrap();
        changes.iter().find(|change| change["field"] == field).unwrap()["to"].clone()
    };
    assert_eq!((told("droppedSequence"), told("droppedHash")), (json!(old.sequence), json!(old.hash.to_string())));
    // The workspace of the present has lost nothing.
    assert_eq!(present.admin.ok("auditLogs.listEvents", json!({}))[0]["sequence"], 1);
    let limits = world.admin.ok("workspace.getLimits", json!({}));
    assert_eq!(limits["logsAuditRetentionDaysMax"], json!({"limit": 30}));
}

/// A workspace with ten rows of which six were dropped by the books.
fn pruned() -> World<'static> {
    let world = World::new();
    let api = world.api();
    rows(&world, &api, 3);
    sealed(&world);
    world.execute("SELECT pg_sleep(0.02)");
    let cutoff = world.server.clock.now();
    rows(&world, &api, 4);
    sealed(&world);
    let workspace = world.workspace.clone();
    while operate(world.server, |tx| store::audit_chain::prune(tx, &workspace, cutoff, 30, 4)) {}
    let report = report(&world, &[]);
    assert!(report.intact && report.rows == 4 + 2, "two checkpoints, since four rows go at once: {report:?}");
    assert_eq!(report.dropped.unwrap().sequence, 6);
    world
}

#[test]
fn dropping_twice_drops_nothing_more_and_checkpoints_alone_stay() {
    let world = pruned();
    let workspace = world.workspace.clone();
    let prune = |cutoff| operate(world.server, |tx| store::audit_chain::prune(tx, &workspace, cutoff, 30, 100));
    let count = || world.rows("SELECT event FROM audit_log WHERE workspace_id = $ws ORDER BY sequence");
    let later = world.server.clock.now() + Duration::days(1);
    assert!(!prune(later));
    let left = count();
    assert_eq!(left, [json!({"event": "auditLog.prune"})], "everything was old");
    assert!(!prune(later));
    assert_eq!(count(), left, "a checkpoint alone is not dropped for another one");
    assert!(report(&world, &[]).intact);
}

#[test]
fn rows_that_go_in_another_way_are_missed() {
    let forged = "INSERT INTO audit_log (id, workspace_id, at, event, actor_type, actor_id, actor_name, display, \
                  correlation_id, resources, changes) SELECT 'log_forged' || $ws, $ws, date_trunc('milliseconds', now()), \
                  'auditLog.prune', 'system', 'keyward', 'keyward', 'dropped', 'req_1', '[]', json_build_array( \
                  json_build_object('field', 'droppedHash', 'from', NULL, 'resource', 'x', 'to', 'ab'), \
                  json_build_object('field', 'droppedSequence', 'from', NULL, 'resource', 'x', 'to', 7))";
    let of = "WHERE workspace_id = $ws AND";
    for sql in [
        vec![format!("DELETE FROM audit_log {of} sequence = 7")],
        vec![format!("DELETE FROM audit_log {of} event = 'auditLog.prune'")],
        vec![format!(
            "UPDATE audit_log SET changes = replace(changes::text, '6', '7')::json {of} event = 'auditLog.prune'"
        )],
        vec![forged.to_owned(), format!("DELETE FROM audit_log {of} sequence = 7")],
    ] {
        let world = pruned();
        sql.iter().for_each(|sql| world.execute(sql));
        sealed(&world);
        assert!(!report(&world, &[]).intact, "{sql:?}");
    }
}

#[test]
fn an_anchor_from_before_what_is_kept_proves_nothing_and_says_so() {
    let world = World::new();
    let api = world.api();
    let old = anchor(&world);
    rows(&world, &api, 3);
    sealed(&world);
    let (workspace, later) = (world.workspace.clone(), world.server.clock.now() + Duration::days(1));
    operate(world.server, |tx| store::audit_chain::prune(tx, &workspace, later, 30, 100).map(drop));
    let broken = report(&world, std::slice::from_ref(&old)).broken.unwrap();
    assert_eq!(broken.sequence, old.sequence);
    assert!(broken.reason.contains("take a newer one"), "{}", broken.reason);
}

#[test]
fn nothing_goes_unless_it_was_asked_for() {
    let server = Options::default().database(postgres::fresh_database()).start();
    let world = World::on(&server);
    ago(&world, 4000);
    let api = world.api();
    rows(&world, &api, 3);
    let anchor = anchor(&world);
    server.clock.advance(Duration::days(4000));
    rows(&world, &api, 3);
    sealed(&world);
    assert_eq!(world.admin.ok("auditLogs.listEvents", json!({"event": "auditLog.prune"})), json!([]));
    assert!(report(&world, &[anchor]).intact);
    assert_eq!(world.admin.ok("workspace.getLimits", json!({}))["logsAuditRetentionDaysMax"]["limit"], Value::Null);
}
