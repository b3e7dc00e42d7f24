//! Several servers on one database: each that counts for itself says so.

use crate::harness::Client;
use crate::harness::Redis;
use crate::harness::Server;
use crate::harness::eventually;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::server::Options;
use serde_json::Value;
use serde_json::json;

fn ready(server: &Server) -> Value {
    let answer = Client::new(server.url()).get("/health/ready");
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["checks"]["limiter"].clone()
}

fn metric(server: &Server, line: &str) -> bool {
    Client::new(server.url()).get("/metrics").text.lines().any(|found| found == line)
}

fn doctor(database: &str) -> Value {
    let ran = keyward("doctor --json").database(database).run();
    let rows: Value = serde_json::from_str(&ran.stdout).unwrap();
    rows.as_array().unwrap().iter().find(|row| row["check"] == "rate limits").unwrap().clone()
}

#[test]
fn a_second_server_on_a_limiter_in_memory_is_reported_until_it_ends() {
    let database = postgres::fresh_database();
    let first = Options::default().database(&database).start();
    assert_eq!(ready(&first), json!({"status": "ok"}));
    eventually("one node", || metric(&first, "keyward_nodes 1").then_some(()));
    assert!(metric(&first, "keyward_ratelimits_uncoordinated 0"));
    assert_eq!(doctor(&database)["level"], "ok");
    let second = Options::default().database(&database).start();
    for server in [&first, &second] {
        let check = eventually("it warns", || Some(ready(server)).filter(|check| check["status"] == "warning"));
        assert!(check["detail"].as_str().unwrap().contains("set KEYWARD_REDIS_URL"), "{check}");
        assert!(metric(server, "keyward_nodes 2") && metric(server, "keyward_ratelimits_uncoordinated 1"));
    }
    let found = doctor(&database);
    assert_eq!(found["level"], "warning");
    assert!(found["detail"].as_str().unwrap().starts_with("2 servers use this database"), "{found}");
    second.stop();
    eventually("it is alone again", || (ready(&first) == json!({"status": "ok"})).then_some(()));
    assert!(metric(&first, "keyward_nodes 1") && metric(&first, "keyward_ratelimits_uncoordinated 0"));
    first.stop();
    assert_eq!(postgres::rows(&database, "SELECT id FROM nodes"), Vec::<Value>::new());
}

#[test]
fn a_server_that_died_is_not_taken_for_another_one() {
    let database = postgres::fresh_database();
    postgres::execute(
        &database,
        "INSERT INTO nodes VALUES ('node_dead', '0', 'memory', clock_timestamp(), clock_timestamp()), \
         ('node_older', '0', 'memory', clock_timestamp(), clock_timestamp() - interval '2 hours')",
    );
    let server = Options::default().database(&database).start();
    eventually("it lives", || metric(&server, "keyward_nodes 1").then_some(()));
    assert_eq!(ready(&server), json!({"status": "ok"}));
    assert_eq!(postgres::rows(&database, "SELECT id FROM nodes WHERE id = 'node_older'"), Vec::<Value>::new());
}

#[test]
fn servers_that_share_a_redis_are_no_reason_to_warn() {
    let database = postgres::fresh_database();
    let flags = format!("--redis-url {}", Redis::shared().url());
    let (one, two) = (
        Options::default().database(&database).flags(&flags).start(),
        Options::default().database(&database).flags(&flags).start(),
    );
    for server in [&one, &two] {
        eventually("two nodes", || metric(server, "keyward_nodes 2").then_some(()));
        assert_eq!(ready(server), json!({"status": "ok"}));
        assert!(metric(server, "keyward_ratelimits_uncoordinated 0"));
    }
    assert_eq!(doctor(&database)["level"], "ok");
}

#[test]
fn doctor_says_whether_redis_answers() {
    let database = postgres::fresh_database();
    let doctor = |url: &str| {
        let ran = keyward("doctor --json").database(&database).env("KEYWARD_REDIS_URL", url).run();
        assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{ran:?}");
        let rows: Value = serde_json::from_str(&ran.stdout).unwrap();
        (ran.code, rows.as_array().unwrap().iter().find(|row| row["check"] == "redis").unwrap().clone())
    };
    let redis = Redis::start();
    let (code, found) = doctor(&redis.url());
    assert_eq!((code, &found["level"]), (Some(0), &json!("ok")), "{found}");
    redis.ask("CONFIG SET maxmemory 100mb");
    redis.ask("CONFIG SET maxmemory-policy allkeys-lru");
    let (code, found) = doctor(&redis.url());
    assert_eq!((code, &found["level"]), (Some(0), &json!("warning")), "{found}");
    assert!(found["detail"].as_str().unwrap().contains("allkeys-lru"), "{found}");
    for url in ["redis://:hush@127.0.0.1:1", "rediss://:hush@127.0.0.1:1/0", "http://hush"] {
        let (code, found) = doctor(url);
        assert_eq!((code, &found["level"]), (Some(1), &json!("failed")), "{url}: {found}");
    }
}

#[test]
fn a_malformed_connection_string_of_redis_is_refused_at_start_in_one_line() {
    let database = postgres::fresh_database();
    for url in ["http://hush", "redis://us:hu sh@h:p/x", "hush"] {
        for command in [keyward("serve").database(&database), keyward("dev")] {
            let said = command.env("KEYWARD_REDIS_URL", url).run().fails(2);
            assert!(said.contains("KEYWARD_REDIS_URL is malformed") && said.lines().count() == 1, "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
    }
}
