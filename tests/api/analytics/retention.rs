//! How long what is kept: partitions that come before their days and go after them, sums that go by their age.

use crate::analytics::DAY_MS;
use crate::analytics::assert_sums_are_those_of_the_events;
use crate::analytics::days;
use crate::analytics::server;
use crate::analytics::set_clock;
use crate::analytics::summed;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::MadeKey;
use crate::harness::postgres;
use crate::harness::server::Options;
use diesel::Connection;
use diesel::PgConnection;
use diesel::RunQueryDsl;
use keyward::model::clock::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;

fn partitions(server: &Server) -> BTreeSet<String> {
    let query = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'verifications'::regclass";
    let rows = postgres::rows(&server.database, query);
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

fn partition(day: Timestamp) -> String {
    format!("verifications_{}", day.format("%Y%m%d"))
}

/// Rows of a table; of single verifications, which share rows, each counts.
fn stored(world: &World<'_>, table: &str) -> i64 {
    let each = if table.starts_with("verifications") { "coalesce(cardinality(times), 1)" } else { "1" };
    let sum = format!("SELECT coalesce(sum({each}), 0)::bigint AS count FROM {table} WHERE workspace_id = $ws");
    let rows = world.rows(&sum);
    rows[0]["count"].as_i64().unwrap()
}

/// Waits until a day has its partition: the server has seen that it is another day.
fn has_partition(server: &Server, day: Timestamp) {
    eventually("the day has a partition", || partitions(server).contains(&partition(day)).then_some(()));
}

/// Verifies once, and waits until that is stored.
fn verified(world: &World<'_>, key: &MadeKey) {
    let before = stored(world, "verifications");
    world.verify(&key.plaintext);
    eventually("it is stored", || (stored(world, "verifications") == before + 1).then_some(()));
}

#[test]
fn partitions_come_before_their_days_and_go_with_their_time() {
    let server = Options::default().database(postgres::fresh_database()).flags("--events-retention-days 7").start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let present = server.clock.now();
    // Everything happens in the past, since what goes is what is old by the database's clock.
    set_clock(&server, present - days(40));
    let old: Vec<_> = (0..3).map(|ahead| partition(present - days(40 - ahead))).collect();
    eventually("the day and the next two have partitions", || {
        old.iter().all(|name| partitions(&server).contains(name)).then_some(())
    });
    verified(&world, &key);
    assert_eq!(stored(&world, &old[0]), 1);
    set_clock(&server, present - days(32));
    eventually("what is older than a week goes", || (!partitions(&server).contains(&old[0])).then_some(()));
    assert_eq!(stored(&world, "verifications"), 0);
    assert_eq!(stored(&world, "usage_hourly"), 1, "sums are kept longer");
    set_clock(&server, present - days(31));
    verified(&world, &key);
    set_clock(&server, present);
    let now = partition(present);
    has_partition(&server, present);
    eventually("and what is past has none", || {
        let mut past = partitions(&server).into_iter().filter(|name| *name != "verifications_default" && *name < now);
        past.next().is_none().then_some(())
    });
    verified(&world, &key);
    assert_eq!(stored(&world, &now), 1);
}

#[test]
fn a_clock_that_runs_ahead_deletes_nothing_and_loses_nothing() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    verified(&world, &key);
    let present = partition(server.clock.now());
    server.clock.advance(days(4000));
    verified(&world, &key);
    let then = server.clock.now();
    has_partition(&server, then);
    // Whatever came before the partition was there has moved into it.
    eventually("nothing is left over", || (stored(&world, "verifications_default") == 0).then_some(()));
    assert_eq!((stored(&world, &partition(then)), stored(&world, &present)), (1, 1));
    server.clock.advance(days(-4000));
    verified(&world, &key);
    assert_eq!((stored(&world, &present), stored(&world, "usage_daily")), (2, 2));
    assert_sums_are_those_of_the_events(&server.database);
}

#[test]
fn sums_by_the_hour_go_and_sums_by_the_day_stay() {
    let server =
        Options::default().database(postgres::fresh_database()).flags("--usage-hourly-retention-days 10").start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let present = server.clock.now();
    set_clock(&server, present - days(12));
    has_partition(&server, present - days(12));
    verified(&world, &key);
    assert_eq!(stored(&world, "usage_hourly"), 1);
    set_clock(&server, present);
    eventually("the hour is gone", || (stored(&world, "usage_hourly") == 0).then_some(()));
    let from = (present - days(12)).timestamp_millis() / DAY_MS * DAY_MS;
    let range = [from, from + 13 * DAY_MS];
    assert_eq!(summed(&world.admin, json!({}), range)["total"], json!(1));
    // Hours that are gone do not look like hours without verifications.
    let hours = |from: i64| {
        world.admin.call("analytics.getUsage", json!({"from": from, "to": range[1], "interval": "hour", "limit": 1}))
    };
    let kept = from + 2 * DAY_MS;
    let refused = hours(kept - 1);
    refused.refused(400, "unkey/application/invalid_input");
    assert!(refused.text.contains(&kept.to_string()), "it says what to send: {}", refused.text);
    assert_eq!(hours(kept).status, 200);
}

#[test]
fn sums_by_the_day_go_too_if_that_is_set() {
    let server =
        Options::default().database(postgres::fresh_database()).flags("--usage-daily-retention-days 10").start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let present = server.clock.now();
    set_clock(&server, present - days(12));
    has_partition(&server, present - days(12));
    verified(&world, &key);
    set_clock(&server, present);
    eventually("the day is gone", || (stored(&world, "usage_daily") == 0).then_some(()));
    let from = (present - days(12)).timestamp_millis();
    for interval in ["day", "month"] {
        let body = json!({"from": from, "to": from + DAY_MS, "interval": interval});
        world.admin.call("analytics.getUsage", body).refused(400, "unkey/application/invalid_input");
    }
}

#[test]
fn upkeep_waits_for_others_and_nobody_waits_for_it() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let mut other = PgConnection::establish(&server.database).unwrap();
    for statement in ["BEGIN", "LOCK TABLE verifications_default IN ACCESS EXCLUSIVE MODE"] {
        diesel::sql_query(statement).execute(&mut other).unwrap();
    }
    has_partition(&server, server.clock.now());
    server.clock.advance(days(1));
    // A new partition cannot be made now; today's is there all the same, since it was made ahead.
    (0..3).for_each(|_| drop(world.verify(&key.plaintext)));
    let today = partition(server.clock.now());
    eventually("they are stored", || (stored(&world, &today) == 3).then_some(()));
    diesel::sql_query("ROLLBACK").execute(&mut other).unwrap();
}
