//! `migrations.createMigration`.

use crate::harness::World;
use crate::migrations::PREFIXED;
use serde_json::json;

#[test]
fn both_algorithms_make_migrations_and_equal_names_different_ones() {
    let world = World::new();
    let mut ids = Vec::new();
    for algorithm in ["sha256", PREFIXED, "sha256"] {
        let data = world.admin.ok("migrations.createMigration", json!({"name": "old", "algorithm": algorithm}));
        assert_eq!(data.as_object().unwrap().len(), 1);
        ids.push(data["migrationId"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(world.audit(), ["migration.create", "migration.create", "migration.create"]);
    let audited = world.rows("SELECT resources FROM audit_log WHERE workspace_id = $ws AND event = 'migration.create'");
    assert_eq!(audited[0]["resources"], json!([{"type": "migration", "id": ids[0], "name": "old"}]));
}

#[test]
fn any_other_algorithm_is_refused() {
    let world = World::new();
    let before = world.everything();
    for algorithm in ["", "SHA256", "sha-256", "sha512", "bcrypt", "prefixed-api-key"] {
        let answer = world.admin.call("migrations.createMigration", json!({"name": "old", "algorithm": algorithm}));
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.algorithm"]);
    }
    for body in [json!({"name": "old"}), json!({"algorithm": "sha256"}), json!({})] {
        world.admin.call("migrations.createMigration", body).refused(400, "unkey/application/invalid_input");
    }
    assert_eq!(before, world.everything());
}

#[test]
fn names_have_1_to_255_characters() {
    let world = World::new();
    for name in ["a", " ", "päy·🔑", &"ü".repeat(255)] {
        world.admin.ok("migrations.createMigration", json!({"name": name, "algorithm": "sha256"}));
    }
    for name in ["", "a\u{0}b", &"ü".repeat(256)] {
        let answer = world.admin.call("migrations.createMigration", json!({"name": name, "algorithm": "sha256"}));
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), ["body.name"]);
    }
}
