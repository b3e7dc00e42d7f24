//! `keyward doctor` with each fault that it knows.

use crate::cli::acme;
use crate::cli::mint;
use crate::cli::recoverable;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::process::Ran;
use keyward::model::master_key::MasterKeys;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use std::time::Instant;

/// The findings of `doctor --json` by check, with the exit code.
fn doctor(ran: Ran) -> (Option<i32>, Value) {
    let rows: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let named = |row: &Value| (row["check"].as_str().unwrap().to_owned(), json!([row["level"], row["detail"]]));
    (ran.code, rows.as_array().unwrap().iter().map(named).collect())
}

#[test]
fn doctor_finds_nothing_wrong_with_a_sound_database() {
    let url = acme();
    mint(&url, "--preset admin");
    let (code, found) = doctor(keyward("doctor --json").database(&url).run());
    assert_eq!(code, Some(0), "{found}");
    for check in ["settings", "database", "clock", "migrations", "master key", "root keys"] {
        assert_eq!(found[check][0], json!("ok"), "{check}: {found}");
    }
    let text = keyward("doctor").database(&url).run().ok().stdout;
    assert!(text.contains("ok       migrations  the database is up to date"), "{text}");
}

#[test]
fn doctor_warns_of_a_database_that_forgets_at_a_crash_and_of_no_root_key() {
    // The throw-away Postgres of the tests runs without fsync; another one may not.
    let url = postgres::fresh_database();
    let fsync = &postgres::rows(&url, "SELECT current_setting('fsync') AS fsync")[0]["fsync"];
    let (code, found) = doctor(keyward("doctor --json").database(&url).run());
    assert_eq!(code, Some(0), "warnings are no failure");
    assert_eq!(found["root keys"][0], json!("warning"));
    let expected = if fsync == "off" { "warning" } else { "ok" };
    assert_eq!(found["durability"][0], json!(expected), "{found}");
    assert_eq!(expected == "warning", found["durability"][1].as_str().unwrap().contains("fsync is off"));
}

#[test]
fn doctor_says_at_once_that_there_is_no_database() {
    let begun = Instant::now();
    let ran = keyward("doctor --json").database("postgres://nobody:hush@127.0.0.1:1/none").run();
    assert!(begun.elapsed() < Duration::from_secs(5) && !ran.stderr.contains("hush") && !ran.stdout.contains("hush"));
    let (code, found) = doctor(ran);
    assert_eq!((code, &found["database"][0]), (Some(1), &json!("failed")));
    assert!(found["database"][1].as_str().unwrap().contains("check DATABASE_URL"), "{found}");
    let (code, found) = doctor(keyward("doctor --json").run());
    assert_eq!((code, &found["database"][0]), (Some(1), &json!("failed")));
    assert!(found["database"][1].as_str().unwrap().contains("set DATABASE_URL"), "{found}");
}

#[test]
fn doctor_tells_pending_migrations_from_a_newer_schema() {
    let (code, found) = doctor(keyward("doctor --json").database(&postgres::blank_database()).run());
    assert_eq!((code, &found["migrations"][0]), (Some(1), &json!("failed")));
    assert!(found["migrations"][1].as_str().unwrap().contains("run `keyward migrate`"), "{found}");
    let url = postgres::fresh_database();
    postgres::execute(&url, "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
    let (code, found) = doctor(keyward("doctor --json").database(&url).run());
    assert_eq!((code, &found["migrations"][0]), (Some(1), &json!("failed")));
    assert!(found["migrations"][1].as_str().unwrap().contains("newer than this version"), "{found}");
}

#[test]
fn doctor_names_the_master_key_that_is_missing() {
    let url = acme();
    let ring = MasterKeys::generate_entry().unwrap();
    recoverable(&url, &ring, &mint(&url, "--preset admin"));
    let (code, found) = doctor(keyward("doctor --json").database(&url).run());
    let id = ring.split(':').next().unwrap();
    assert_eq!((code, &found["master key"][0]), (Some(1), &json!("failed")));
    assert!(found["master key"][1].as_str().unwrap().contains(&format!("{id} (1 keys)")), "{found}");
    let (code, found) = doctor(keyward("doctor --json").env("KEYWARD_MASTER_KEY", &ring).database(&url).run());
    assert_eq!((code, &found["master key"][0]), (Some(0), &json!("ok")));
}

#[test]
fn doctor_names_malformed_secrets_and_checks_the_rest() {
    let url = postgres::fresh_database();
    let ran = keyward("doctor --json").env("KEYWARD_MASTER_KEY", "a:hush").env("KEYWARD_BOOTSTRAP_ROOT_KEY", "hush");
    let ran = ran.database(&url).run();
    assert!(!ran.stdout.contains("hush"), "{ran:?}");
    let (code, found) = doctor(ran);
    assert_eq!((code, &found["database"][0]), (Some(1), &json!("ok")));
    assert!(found["settings"][1].as_str().unwrap().contains("KEYWARD_BOOTSTRAP_ROOT_KEY"), "{found}");
}
