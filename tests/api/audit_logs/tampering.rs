//! Whatever is done to a sealed log with SQL is found, and named by its place. What a chain alone cannot tell, an anchor does.

use super::anchor;
use super::report;
use super::rows;
use super::sealed;
use super::wrong_hash;
use crate::harness::World;
use keyward::domain::audit_log::verify::Anchor;

/// A workspace with ten rows: two of its making, the API, seven renamings.
fn ten() -> (World<'static>, Anchor) {
    let world = World::new();
    let api = world.api();
    rows(&world, &api, 7);
    let anchor = anchor(&world);
    assert_eq!(anchor.sequence, 10);
    let report = report(&world, std::slice::from_ref(&anchor));
    assert!(report.intact && report.rows == 10 && report.anchors == 1, "{report:?}");
    (world, anchor)
}

/// Does this to the log; at which place is it found, without an anchor and with one?
fn found(sql: &[&str]) -> (Option<i64>, Option<i64>) {
    let (world, anchor) = ten();
    sql.iter().for_each(|sql| world.execute(sql));
    let place = |anchors: &[Anchor]| {
        let report = report(&world, anchors);
        assert_eq!(report.intact, report.broken.is_none());
        report.broken.map(|broken| broken.sequence)
    };
    (place(&[]), place(&[anchor]))
}

#[test]
fn every_edit_of_a_row_is_found() {
    for edit in [
        "id = 'log_1' || $ws",
        "at = at + interval '1 millisecond'",
        "at = at + interval '1 microsecond'",
        "event = 'api.delete'",
        "actor_type = 'operator'",
        "actor_id = 'root_1'",
        "actor_name = 'somebody'",
        "display = ''",
        "address = NULL",
        "address = ''",
        "user_agent = 'curl'",
        "correlation_id = 'req_1'",
        "resources = '[]'",
        "resources = jsonb_set(resources, '{0,name}', '\"x\"')",
        "resources = jsonb_set(resources, '{0,more}', '\"x\"')",
        "resources = resources || resources",
        "resources = '{}'",
        "changes = NULL",
        "changes = '[]'",
        "changes = '[{\"field\":\"name\",\"from\":\"a\",\"resource\":\"r\",\"to\":1.5}]'",
        "changes = replace(changes::text, 'name', 'game')::json",
        "hash = sha256('x')",
    ] {
        let update = format!("UPDATE audit_log SET {edit} WHERE workspace_id = $ws AND sequence = 5");
        assert_eq!(found(&[&update]), (Some(5), Some(5)), "{edit}");
    }
}

#[test]
fn rows_that_are_gone_moved_or_come_from_elsewhere_are_found() {
    let of = "WHERE workspace_id = $ws AND sequence";
    let swap = |columns: &str| {
        format!(
            "UPDATE audit_log a SET ({columns}) = (SELECT {columns} FROM audit_log b WHERE b.workspace_id = $ws \
             AND b.sequence = 9 - a.sequence) WHERE workspace_id = $ws AND sequence IN (4, 5)"
        )
    };
    let copy = "INSERT INTO audit_log SELECT 'log_copy' || $ws, workspace_id, at, event, actor_type, actor_id, actor_name, \
                display, address, user_agent, correlation_id, resources, 11, hash, changes FROM audit_log \
                WHERE workspace_id = $ws AND sequence = 10";
    for (sql, place) in [
        (vec![format!("DELETE FROM audit_log {of} = 5")], 5),
        (vec![format!("DELETE FROM audit_log {of} BETWEEN 5 AND 7")], 5),
        (vec![format!("DELETE FROM audit_log {of} = 1")], 1),
        (vec![format!("DELETE FROM audit_log {of} = 10")], 10),
        (vec!["DELETE FROM audit_log WHERE workspace_id = $ws".to_owned()], 1),
        // The gap closed, too.
        (
            vec![
                format!("DELETE FROM audit_log {of} = 5"),
                format!("UPDATE audit_log SET sequence = -sequence {of} > 5").replace("-sequence", "sequence + 100"),
                format!("UPDATE audit_log SET sequence = sequence - 101 {of} > 100"),
            ],
            5,
        ),
        (vec![swap("display, changes, correlation_id")], 4),
        (vec![swap("at, event, display, resources, changes, correlation_id")], 4),
        (vec![copy.to_owned()], 11),
        (vec![format!("UPDATE audit_heads SET hash = sha256('x') WHERE workspace_id = $ws")], 10),
        (vec!["DELETE FROM audit_heads WHERE workspace_id = $ws".to_owned()], 10),
    ] {
        let sql: Vec<_> = sql.iter().map(String::as_str).collect();
        assert_eq!(found(&sql), (Some(place), Some(place)), "{sql:?}");
    }
}

#[test]
fn rows_of_another_workspace_are_found_on_both_sides() {
    let ((world, ours), (other, theirs)) = (ten(), ten());
    // A whole row changes place with the one of the same number over there.
    for column in ["sequence", "hash"] {
        assert!(!world.rows(&format!("SELECT {column} FROM audit_log WHERE workspace_id = $ws")).is_empty());
    }
    let (here, there) = (format!("'{}'", world.workspace), format!("'{}'", other.workspace));
    world.execute("ALTER TABLE audit_log DROP CONSTRAINT IF EXISTS no_such_constraint");
    world.execute(&format!(
        "UPDATE audit_log SET sequence = 100 + sequence WHERE workspace_id IN ({here}, {there}) AND sequence = 6"
    ));
    world.execute(&format!(
        "UPDATE audit_log SET sequence = 6, workspace_id = CASE workspace_id WHEN {here} THEN {there} ELSE {here} END \
         WHERE workspace_id IN ({here}, {there}) AND sequence = 106"
    ));
    for (world, anchor) in [(&world, ours), (&other, theirs)] {
        let report = report(world, &[anchor]);
        assert_eq!(report.broken.unwrap().sequence, 6);
    }
}

#[test]
fn a_tail_that_is_cut_off_with_its_head_is_found_by_an_anchor() {
    let cut = [
        "DELETE FROM audit_log WHERE workspace_id = $ws AND sequence > 6",
        "UPDATE audit_heads SET (sequence, hash) = (SELECT sequence, hash FROM audit_log WHERE workspace_id = $ws \
         AND sequence = 6) WHERE workspace_id = $ws",
    ];
    assert_eq!(found(&cut), (None, Some(7)), "this is what anchors are for");
    let everything =
        ["DELETE FROM audit_log WHERE workspace_id = $ws", "DELETE FROM audit_heads WHERE workspace_id = $ws"];
    assert_eq!(found(&everything), (None, Some(1)));
}

#[test]
fn a_forged_suffix_that_was_sealed_anew_is_found_by_an_anchor() {
    // Keyward itself seals what the forger wants.
    let unseal = [
        "UPDATE audit_heads SET (sequence, hash) = (SELECT sequence, hash FROM audit_log WHERE workspace_id = $ws \
         AND sequence = 4) WHERE workspace_id = $ws",
        "UPDATE audit_log SET sequence = NULL, hash = NULL, actor_name = 'somebody else' WHERE workspace_id = $ws \
         AND sequence > 4",
    ];
    let (world, anchor) = ten();
    unseal.iter().for_each(|sql| world.execute(sql));
    assert_eq!(sealed(&world), 10);
    assert!(report(&world, &[]).intact, "this is what anchors are for");
    let broken = report(&world, std::slice::from_ref(&anchor)).broken.unwrap();
    assert_eq!(broken.sequence, 10);
    assert!(broken.reason.contains("another row"), "{}", broken.reason);
    // An anchor from before the forgery still holds: it cannot know.
    let before = world.rows("SELECT hash FROM audit_log WHERE workspace_id = $ws AND sequence = 4");
    let hash = before[0]["hash"].as_str().unwrap().trim_start_matches("\\x");
    let old = Anchor { sequence: 4, hash: keyward::model::audit::row::ChainHash::parse(hash).unwrap(), ..anchor };
    assert!(report(&world, &[old]).intact);
}

#[test]
fn an_anchor_that_was_never_taken_here_does_not_hold() {
    let (world, anchor) = ten();
    let wrong = Anchor { hash: wrong_hash(), ..anchor.clone() };
    assert_eq!(report(&world, &[wrong]).broken.unwrap().sequence, 10);
    let future = Anchor { sequence: 11, ..anchor.clone() };
    assert_eq!(report(&world, &[anchor, future]).broken.unwrap().sequence, 11);
}
