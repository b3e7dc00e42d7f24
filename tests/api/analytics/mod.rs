//! `analytics.*`, and the events that they count.

mod events;
mod get_usage;
mod retention;

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::MadeKey;
use crate::harness::postgres;
use crate::harness::server::Options;
use chrono::Duration;
use keyward::model::clock::Timestamp;
use serde_json::Value;
use serde_json::json;

const DAY_MS: i64 = 86_400_000;

/// A server with a database of its own: clocks of other tests' servers run there, and the sums are those of one test.
fn server() -> Server {
    Options::default().database(postgres::fresh_database()).start()
}

/// A new key with a balance.
fn limited_key(world: &World<'_>, api: &str, remaining: i64) -> MadeKey {
    let key = world.key(api, json!({}));
    world.execute(&format!(
        "INSERT INTO credits (key_id, workspace_id, remaining, refilled_at) VALUES ('{}', $ws, {remaining}, now())",
        key.id
    ));
    key
}

/// Sets a server's clock; from there it goes on.
fn set_clock(server: &Server, to: Timestamp) {
    server.clock.advance(to.signed_duration_since(server.clock.now()));
}

/// A range of days around the server's present, whole days.
fn around(server: &Server, days: i64) -> [i64; 2] {
    let today = server.clock.now().timestamp_millis() / DAY_MS * DAY_MS;
    [today - days * DAY_MS, today + (days + 1) * DAY_MS]
}

/// The sum of all buckets: counts by outcome, `total`, `creditsSpent`.
fn summed(client: &Client, mut body: Value, [from, to]: [i64; 2]) -> Value {
    body["from"] = json!(from);
    body["to"] = json!(to);
    body["limit"] = json!(1000);
    let answer = client.call("analytics.getUsage", body);
    assert_eq!((answer.status, &answer.body["pagination"]["hasMore"]), (200, &json!(false)), "{}", answer.text);
    let mut sums = json!({});
    for bucket in answer.data().as_array().unwrap() {
        let counts = bucket["outcomes"].as_object().unwrap();
        let of = counts.iter().map(|(name, count)| (name.as_str(), count.as_i64().unwrap()));
        let by_outcome: i64 = of.clone().map(|(_, count)| count).sum();
        assert_eq!(bucket["total"], json!(by_outcome), "{bucket}");
        let fields = ["total", "creditsSpent"].map(|name| (name, bucket[name].as_i64().unwrap()));
        for (name, count) in of.chain(fields) {
            sums[name] = json!(sums[name].as_i64().unwrap_or(0) + count);
        }
    }
    sums
}

/// Waits until so many verifications are counted; returns the sums.
#[track_caller]
fn counted(world: &World<'_>, total: usize) -> Value {
    eventually("all verifications are counted", || {
        let sums = summed(&world.admin, json!({}), around(world.server, 3));
        let found = usize::try_from(sums["total"].as_u64().unwrap()).unwrap();
        assert!(found <= total, "{found} are counted, {total} were made");
        (found == total).then_some(sums)
    })
}

/// Asserts that the sums by hour and by day are those of the events.
#[track_caller]
fn assert_sums_are_those_of_the_events(database: &str) {
    for (table, unit) in [("usage_hourly", "hour"), ("usage_daily", "day")] {
        let sums = format!(
            "SELECT workspace_id, at, api_id, key_id, external_id, outcome, tags, count, credits_spent::numeric FROM {table}"
        );
        let events = format!(
            "SELECT workspace_id, date_trunc('{unit}', at, 'UTC'), api_id, key_id, external_id, outcome, \
            ARRAY(SELECT DISTINCT t COLLATE \"C\" FROM unnest(tags) t ORDER BY 1), count(*), sum(credits_spent) \
            FROM verification_events GROUP BY 1, 2, 3, 4, 5, 6, 7"
        );
        let differ = format!("(({sums}) EXCEPT ALL ({events})) UNION ALL (({events}) EXCEPT ALL ({sums}))");
        // A query that meets a partition in the making reads the table without it.
        eventually(&format!("{table} is what the events say"), || {
            postgres::rows(database, &differ).is_empty().then_some(())
        });
    }
}

/// The value of a metric without labels.
fn metric(server: &Server, name: &str) -> u64 {
    let text = Client::new(server.url()).get("/metrics").text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

fn days(count: i64) -> Duration {
    Duration::days(count)
}
