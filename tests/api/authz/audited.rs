//! What changes something leaves its rows in the audit log, in the same transaction: if they cannot be written, nothing happens.

use super::Scene;
use super::fixture;
use crate::harness::World;
use crate::harness::postgres;
use crate::harness::server::Options;
use keyward::http::operations::OPERATIONS;
use serde_json::Value;

/// Everything but the log.
fn state(world: &World<'_>) -> Value {
    let mut all = world.everything();
    all["audit_log"] = Value::Null;
    all
}

#[test]
fn every_operation_that_changes_something_is_audited_or_does_not_happen() {
    let server = Options::default().database(postgres::fresh_database()).start();
    let run = |statement: &str| postgres::execute(&server.database, statement);
    run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''the disk is full''; END'",
    );
    run("CREATE TRIGGER refuse BEFORE INSERT ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse()");
    let mut changing = Vec::new();
    for operation in OPERATIONS {
        run("ALTER TABLE audit_log DISABLE TRIGGER refuse");
        let scene = Scene::on(&server);
        let (world, admin) = (&scene.world, &scene.world.admin);
        let body = fixture(operation, &scene).body;
        let before = state(world);
        run("ALTER TABLE audit_log ENABLE TRIGGER refuse");
        let blocked = admin.call(operation.name, body.clone());
        assert_eq!(state(world), before, "{} changed something that nobody will know of", operation.name);
        run("ALTER TABLE audit_log DISABLE TRIGGER refuse");
        let answer = admin.call(operation.name, body);
        assert_eq!(answer.status, 200, "{}: {}", operation.name, answer.text);
        let request = answer.body["meta"]["requestId"].as_str().unwrap();
        let rows = world
            .rows(&format!("SELECT event FROM audit_log WHERE workspace_id = $ws AND correlation_id = '{request}'"));
        if state(world) == before {
            assert!(rows.is_empty() == (blocked.status == 200), "{}: {} {rows:?}", operation.name, blocked.text);
            continue;
        }
        assert!(!rows.is_empty(), "{} is not audited", operation.name);
        assert!(blocked.status >= 500, "{} went on without its audit row: {}", operation.name, blocked.text);
        changing.push(operation.name);
    }
    for sure in ["keys.createKey", "keys.updateCredits", "keys.setRoles", "rootKeys.deleteKey", "ratelimit.setOverride"]
    {
        assert!(changing.contains(&sure), "{sure} changed nothing: {changing:?}");
    }
}
