//! Facts about the database: what belongs to a workspace says so, `schema.rs` is true, migrations go both ways.

use crate::harness::postgres;
use diesel_migrations::MigrationHarness;
use keyward::store::database;
use keyward::store::migrations;
use std::collections::BTreeSet;

#[test]
fn every_workspace_id_is_indexed_and_referenced() {
    // Written by the thousand, a moment after the fact: they tell of workspaces and hold no link to them.
    const RECORDS: [&str; 4] = ["verifications", "usage_hourly", "usage_daily", "decisions"];
    let url = postgres::shared_database();
    let columns = postgres::rows(
        url,
        &format!(
            "SELECT table_name FROM information_schema.columns \
            WHERE column_name = 'workspace_id' AND table_schema = 'public' AND {NO_PARTITION}"
        ),
    );
    assert!(columns.len() >= 4);
    for column in columns {
        let table = column["table_name"].as_str().unwrap();
        let indexed = postgres::rows(
            url,
            &format!(
                "SELECT 1 AS yes FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
             WHERE i.indrelid = 'public.{table}'::regclass AND a.attname = 'workspace_id' AND i.indpred IS NULL"
            ),
        );
        assert!(!indexed.is_empty(), "{table}.workspace_id has no index that begins with it");
        if RECORDS.contains(&table) {
            continue;
        }
        let referenced = postgres::rows(
            url,
            &format!(
                "SELECT 1 AS yes FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) \
             WHERE c.contype = 'f' AND c.conrelid = 'public.{table}'::regclass AND c.confrelid = 'workspaces'::regclass \
             AND a.attname = 'workspace_id' AND a.attnotnull"
            ),
        );
        assert!(!referenced.is_empty(), "{table}.workspace_id does not reference workspaces, or may be null");
    }
}

#[test]
fn every_table_but_workspaces_belongs_to_one() {
    let orphans = postgres::rows(
        postgres::shared_database(),
        "SELECT t.table_name FROM information_schema.tables t \
        WHERE t.table_schema = 'public' AND t.table_name NOT IN ('workspaces', '__diesel_schema_migrations', 'nodes', 'counters', 'event_writers') \
        AND t.table_name NOT LIKE 'decision_requests%' \
        AND NOT EXISTS (SELECT 1 FROM information_schema.columns c WHERE c.table_schema = 'public' \
        AND c.table_name = t.table_name AND c.column_name = 'workspace_id')",
    );
    assert!(orphans.is_empty(), "{orphans:?}");
}

/// A partition is like its table.
const NO_PARTITION: &str = "(SELECT NOT relispartition AND relkind <> 'v' FROM pg_class \
    WHERE oid = format('public.%I', table_name)::regclass)";

/// `table column type nullable` of the migrated database, in diesel's words.
fn stored(url: &str) -> BTreeSet<String> {
    postgres::rows(
        url,
        &format!(
            "SELECT table_name, column_name, udt_name, is_nullable = 'YES' AS nullable FROM information_schema.columns \
            WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations' AND {NO_PARTITION}"
        ),
    )
    .iter()
    .map(|row| {
        let kind = match row["udt_name"].as_str().unwrap() {
            "text" => "Text",
            "bool" => "Bool",
            "int4" => "Integer",
            "int8" => "BigInt",
            "timestamptz" => "Timestamptz",
            "bytea" => "Bytea",
            "json" => "Json",
            "jsonb" => "Jsonb",
            "_text" => "Array<Text>",
            "_int8" => "Array<BigInt>",
            "_timestamptz" => "Array<Timestamptz>",
            other => panic!("a type that this test does not know: {other}"),
        };
        let kind = if row["nullable"] == true { format!("Nullable<{kind}>") } else { kind.to_owned() };
        format!("{} {} {kind}", row["table_name"].as_str().unwrap(), row["column_name"].as_str().unwrap())
    })
    .collect()
}

#[test]
fn schema_rs_is_the_migrated_database() {
    let text = include_str!("../../src/model/schema.rs");
    let mut declared = BTreeSet::new();
    let mut table = "";
    for line in text.lines().map(str::trim) {
        if line.starts_with("diesel::joinable") {
            continue;
        } else if let Some((column, kind)) = line.split_once(" -> ") {
            declared.insert(format!("{table} {column} {}", kind.trim_end_matches(',')));
        } else if let Some((name, _)) = line.split_once(" (").filter(|(_, rest)| rest.ends_with(") {")) {
            table = name;
        }
    }
    assert_eq!(stored(postgres::shared_database()), declared);
}

#[test]
fn migrations_go_down_and_up_again() {
    let url = postgres::blank_database();
    let mut connection = database::connect(&url).unwrap();
    let applied = migrations::run(&mut connection).unwrap();
    assert!(!applied.is_empty());
    let before = stored(&url);
    connection.revert_all_migrations(migrations::MIGRATIONS).unwrap();
    assert!(stored(&url).is_empty(), "down leaves something behind");
    assert_eq!(migrations::run(&mut connection).unwrap(), applied);
    assert_eq!(stored(&url), before);
    assert!(migrations::run(&mut connection).unwrap().is_empty());
}

#[test]
fn a_newer_database_is_refused() {
    let url = postgres::fresh_database();
    postgres::execute(&url, "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
    let mut connection = database::connect(&url).unwrap();
    let error = migrations::run(&mut connection).unwrap_err();
    assert!(error.detail.contains("newer") && error.detail.contains("99990101000000"), "{}", error.detail);
}

#[test]
fn nodes_that_start_together_migrate_once() {
    let url = postgres::blank_database();
    let nodes: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || migrations::run(&mut database::connect(&url).unwrap()).unwrap().len())
        })
        .collect();
    let applied: usize = nodes.into_iter().map(|node| node.join().unwrap()).sum();
    let stored = postgres::rows(&url, "SELECT version FROM __diesel_schema_migrations").len();
    assert_eq!(applied, stored);
}
