//! What is counted in memory outlives the process.

use crate::harness::Client;
use crate::harness::eventually;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::server::Options;
use crate::limiter::LONG_MS;
use crate::limiter::block_on;
use crate::limiter::take;
use crate::limiter::token;
use crate::limiter::used;
use chrono::Duration;
use keyward::limiter::Take;
use rustix::process::Signal;
use serde_json::json;

#[test]
fn an_orderly_end_forgets_nothing() {
    let database = postgres::fresh_database();
    let server = Options::default().database(&database).start();
    // Readiness waits for counters to be loaded.
    assert_eq!(Client::new(server.url()).get("/health/ready").status, 200);
    for number in 0..2500 {
        assert!(take(&server, &[token("shared", 5000), token(&format!("{number}"), 10)]).unwrap().passed);
    }
    server.stop();
    let server = Options::default().database(&database).start();
    assert_eq!(Client::new(server.url()).get("/health/ready").status, 200);
    assert_eq!(used(&server, "shared"), 2500);
    assert!((0..2500).all(|number| used(&server, &format!("{number}")) == 1));
    assert!(!take(&server, &[token("shared", 2500)]).unwrap().passed);
}

/// A server that is killed leaves behind what is in the database. The first server is not stopped here, and is not asked.
#[test]
fn what_was_counted_is_in_the_database_a_moment_later() {
    let database = postgres::fresh_database();
    let server = Options::default().database(&database).start();
    assert_eq!(Client::new(server.url()).get("/health/ready").status, 200);
    for count in 1..=3_u64 {
        assert!(take(&server, &[token("one", 10)]).unwrap().passed);
        let begun = std::time::Instant::now();
        eventually("the counter is written", || {
            let rows = postgres::rows(&database, "SELECT current FROM counters");
            (rows == [json!({"current": count})]).then_some(())
        });
        assert!(begun.elapsed() < std::time::Duration::from_secs(3), "a second, and what a busy machine needs");
    }
    let other = Options::default().database(&database).start();
    assert_eq!(Client::new(other.url()).get("/health/ready").status, 200);
    assert_eq!(used(&other, "one"), 3);
}

#[test]
fn of_two_nodes_that_write_one_counter_the_later_and_greater_stays() {
    let database = postgres::fresh_database();
    let (one, two) = (Options::default().database(&database).start(), Options::default().database(&database).start());
    for server in [&one, &two] {
        assert_eq!(Client::new(server.url()).get("/health/ready").status, 200);
    }
    for (server, count) in [(&one, 5), (&two, 3)] {
        assert!(take(server, &[Take { cost: count, ..token("both", 10) }]).unwrap().passed);
        server.stop();
    }
    assert_eq!(postgres::rows(&database, "SELECT current FROM counters"), [json!({"current": 5})]);
    let later = Options::default().database(&database).start();
    assert_eq!(Client::new(later.url()).get("/health/ready").status, 200);
    later.clock.advance(Duration::milliseconds(i64::try_from(LONG_MS).unwrap()));
    assert!(take(&later, &[token("both", 10)]).unwrap().passed);
    later.stop();
    assert_eq!(
        postgres::rows(&database, "SELECT current, previous FROM counters"),
        [json!({"current": 1, "previous": 5})]
    );
}

#[test]
fn a_server_that_cannot_load_what_was_counted_limits_nothing_and_is_not_ready_until_it_can() {
    let database = postgres::fresh_database();
    let first = Options::default().database(&database).start();
    assert_eq!(Client::new(first.url()).get("/health/ready").status, 200);
    assert!(take(&first, &[token("one", 10)]).unwrap().passed);
    first.stop();
    postgres::execute(&database, "ALTER TABLE counters RENAME TO hidden");
    let server = Options::default().database(&database).start();
    let client = Client::new(server.url());
    let answer = client.get("/health/ready");
    assert_eq!((answer.status, &answer.body["checks"]["limiter"]["status"]), (503, &json!("failed")));
    assert!(take(&server, &[token("one", 10)]).is_err());
    postgres::execute(&database, "ALTER TABLE hidden RENAME TO counters");
    eventually("it is ready", || (client.get("/health/ready").status == 200).then_some(()));
    assert_eq!(used(&server, "one"), 1);
}

#[test]
fn counters_that_are_worth_nothing_are_deleted() {
    let database = postgres::fresh_database();
    let server = Options::default().database(&database).start();
    assert_eq!(Client::new(server.url()).get("/health/ready").status, 200);
    let short = |name: &str| Take { duration_ms: 1000, ..token(name, 10) };
    for number in 0..1500 {
        assert!(take(&server, &[short(&format!("{number}")), token("long", 10_000)]).unwrap().passed);
    }
    eventually("all are written", || {
        let rows = postgres::rows(&database, "SELECT count(*) AS n FROM counters");
        (rows == [json!({"n": 1501})]).then_some(())
    });
    server.clock.advance(Duration::minutes(5));
    block_on(keyward::domain::counters::delete_worthless(&server.app.db)).unwrap();
    assert_eq!(postgres::rows(&database, "SELECT count(*) AS n FROM counters"), [json!({"n": 1})]);
    eventually("memory forgets them, too", || {
        let state = server.app.limiter.state();
        (state.counters == 1 && state.evicted == 1500).then_some(())
    });
}

/// The real program, killed: what it had answered a moment before is the most that it may forget.
#[test]
fn a_server_that_is_killed_forgets_what_was_taken_last_at_most() {
    const BOOTSTRAP: &str = "bootstrap_0123456789_abcdefghij";
    let database = postgres::fresh_database();
    let serve = || {
        let command = keyward("serve --listen 127.0.0.1:0 --workers 1").database(&database);
        command.env("KEYWARD_BOOTSTRAP_ROOT_KEY", BOOTSTRAP).start()
    };
    let mut server = serve();
    let client = Client::new(server.url()).bearer(BOOTSTRAP);
    let api = client.call("apis.createApi", json!({"name": "limited"})).data()["apiId"].clone();
    let key = client.call("keys.createKey", json!({"apiId": api})).data()["key"].clone();
    let remaining = |client: &Client, cost: u64| {
        let limit = json!({"name": "calls", "limit": 100, "duration": LONG_MS, "cost": cost});
        let answer = client.call("keys.verifyKey", json!({"key": key, "ratelimits": [limit]}));
        answer.data()["ratelimits"][0]["remaining"].as_u64().unwrap()
    };
    assert_eq!(remaining(&client, 7), 93);
    eventually("the counter is written", || {
        (postgres::rows(&database, "SELECT current FROM counters") == [json!({"current": 7})]).then_some(())
    });
    assert_eq!(remaining(&client, 2), 91);
    server.end_by(Signal::KILL);
    let mut server = serve();
    let client = Client::new(server.url()).bearer(BOOTSTRAP);
    assert!([91, 93].contains(&remaining(&client, 0)));
    let before = remaining(&client, 5);
    server.end_by(Signal::TERM).ok();
    let mut server = serve();
    assert_eq!(remaining(&Client::new(server.url()).bearer(BOOTSTRAP), 0), before);
}
