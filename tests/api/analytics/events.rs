//! Events of verifications: each is counted exactly once, whatever happens to the database or to the process.

use crate::analytics::around;
use crate::analytics::assert_sums_are_those_of_the_events;
use crate::analytics::counted;
use crate::analytics::limited_key;
use crate::analytics::metric;
use crate::analytics::server;
use crate::analytics::summed;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::operate;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::process;
use crate::harness::server::Options;
use diesel::Connection;
use diesel::PgConnection;
use diesel::RunQueryDsl;
use keyward::cli::postgres::PrivatePostgres;
use keyward::cli::postgres::Settings;
use keyward::model::id::ApiId;
use keyward::model::id::KeyId;
use keyward::model::id::RequestId;
use keyward::model::id::WriterId;
use keyward::model::verdict::Outcome;
use keyward::model::verification::Subject;
use keyward::model::verification::Verification;
use keyward::store::events;
use keyward::store::events::Batch;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use tempfile::TempDir;

#[test]
fn the_sums_of_two_servers_are_what_both_verified() {
    let first = server();
    let second = Options::default().database(first.database.clone()).start();
    let world = World::on(&first);
    let api = world.api();
    let keys: Vec<_> = (0..3).map(|_| limited_key(&world, &api, 40)).collect();
    let second_admin = keyward_client(&second, &world);
    let spent = AtomicUsize::new(0);
    thread::scope(|scope| {
        for index in 0..6_usize {
            let (client, keys, spent) = (if index % 2 == 0 { &world.admin } else { &second_admin }, &keys, &spent);
            scope.spawn(move || {
                for round in 0..30_usize {
                    let key = &keys[round % keys.len()].plaintext;
                    let tags = json!([format!("tag {}", round % 4)]);
                    let data = client.ok("keys.verifyKey", json!({"key": key, "credits": {"cost": 2}, "tags": tags}));
                    if data["valid"] == json!(true) {
                        spent.fetch_add(2, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let sums = counted(&world, 180);
    assert_eq!(sums["creditsSpent"], json!(spent.load(Ordering::Relaxed)));
    assert_eq!((&sums["VALID"], &sums["USAGE_EXCEEDED"]), (&json!(60), &json!(120)));
    assert_sums_are_those_of_the_events(&first.database);
    assert_eq!(metric(&first, "keyward_events_written_total") + metric(&second, "keyward_events_written_total"), 180);
    assert_eq!(metric(&first, "keyward_events_dropped_total"), 0);
}

fn keyward_client(server: &Server, world: &World<'_>) -> crate::harness::Client {
    crate::harness::Client::new(server.url()).bearer(world.admin.root_key())
}

struct Faulty {
    postgres: PrivatePostgres,
    _folder: TempDir,
}

fn faulty(durable: bool) -> Faulty {
    let folder = process::folder();
    let settings = Settings { durable, dies_with_parent: true, max_connections: 60 };
    let postgres = PrivatePostgres::start(&folder.path().join("data"), &settings).unwrap();
    keyward("migrate").database(postgres.url()).run().ok();
    Faulty { postgres, _folder: folder }
}

#[test]
fn what_was_gathered_outlives_the_absence_of_the_database() {
    let faulty = faulty(false);
    // It remembers nothing, so that no verification goes on without the database.
    let server = Options::default().flags("--max-staleness 0s").database(faulty.postgres.url()).start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    for _ in 0..2 {
        let before = usize::try_from(metric(&server, "keyward_events_written_total")).unwrap();
        (0..25).for_each(|_| assert_eq!(world.verdict(&key.plaintext), "VALID"));
        faulty.postgres.interrupt().unwrap();
        let verified = world.admin.call("keys.verifyKey", json!({"key": key.plaintext}));
        verified.refused(503, "unkey/application/service_unavailable");
        faulty.postgres.start_again().unwrap();
        // The first requests after it may meet connections that died.
        eventually("it is ready again", || (world.admin.get("/health/ready").status == 200).then_some(()));
        eventually("everything is written", || {
            let waiting = metric(&server, "keyward_events_waiting");
            (waiting == 0 && metric(&server, "keyward_events_written_total") > 0).then_some(())
        });
        eventually("everything is counted", || {
            let answer = world.admin.call("analytics.getUsage", json!({"from": 0, "to": 1}));
            (answer.status == 200).then_some(())
        });
        counted(&world, before + 25);
    }
    assert_eq!(metric(&server, "keyward_events_dropped_total"), 0);
    assert_sums_are_those_of_the_events(faulty.postgres.url());
}

#[test]
fn a_database_killed_in_the_middle_of_writing_counts_every_answer_once() {
    let faulty = faulty(true);
    let server = Options::default().database(faulty.postgres.url()).start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let answer = world.admin.call("keys.verifyKey", json!({"key": key.plaintext}));
                    assert!([200, 503].contains(&answer.status), "{}", answer.text);
                    answered.fetch_add(usize::from(answer.status == 200), Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            // Just while a batch is being written, as far as one can tell from outside.
            let written = metric(&server, "keyward_events_written_total");
            eventually("a batch was written", || {
                (metric(&server, "keyward_events_written_total") > written).then_some(())
            });
            faulty.postgres.kill().unwrap();
            faulty.postgres.start_again().unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let answered = answered.into_inner();
    assert!(answered > 30, "there was load");
    eventually("it is ready again", || (world.admin.get("/health/ready").status == 200).then_some(()));
    counted(&world, answered);
    assert_sums_are_those_of_the_events(faulty.postgres.url());
}

#[test]
fn a_batch_that_comes_again_is_not_counted_again() {
    let server = server();
    let world = World::on(&server);
    let subject = Arc::new(Subject {
        workspace: world.workspace.clone(),
        api: ApiId::generate(),
        key: KeyId::generate(),
        owner: None,
    });
    let event = || Verification {
        at: server.clock.now(),
        subject: Arc::clone(&subject),
        outcome: Outcome::Valid,
        tags: vec!["x".to_owned()],
        credits_spent: 3,
        request: RequestId::generate(),
    };
    let writer = WriterId::generate();
    let batch = |number: i64| Batch { writer: writer.clone(), number, events: (0..4).map(|_| event()).collect() };
    let (first, second) = (batch(1), batch(2));
    let write = |batch: &Batch| operate(&server, |tx| Ok(events::insert(tx, batch)?));
    assert!(write(&first));
    assert!(!write(&first), "its answer was lost, so it comes again");
    assert!(write(&second));
    assert!(!write(&second) && !write(&first));
    let sums = counted(&world, 8);
    assert_eq!(sums["creditsSpent"], json!(24));
    // While a try is under way, nobody knows how it ends: the next one waits for it.
    let third = batch(3);
    let mut other = PgConnection::establish(&server.database).unwrap();
    let claim = format!("UPDATE event_writers SET batch = 3 WHERE id = '{writer}'");
    for statement in ["BEGIN", &claim] {
        diesel::sql_query(statement).execute(&mut other).unwrap();
    }
    thread::scope(|scope| {
        let again = scope.spawn(|| write(&third));
        let blocked =
            "SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("it waits", || (!postgres::rows(&server.database, blocked).is_empty()).then_some(()));
        diesel::sql_query("ROLLBACK").execute(&mut other).unwrap();
        assert!(again.join().unwrap(), "the try failed, so this one writes");
    });
    counted(&world, 12);
    // An absurd sum stays at the greatest one: it keeps nobody's events from being written.
    let mut huge = batch(4);
    huge.events.iter_mut().for_each(|event| event.credits_spent = i64::MAX);
    assert!(write(&huge));
    assert_eq!(summed(&world.admin, json!({}), around(&server, 1))["creditsSpent"], json!(i64::MAX));
}

#[test]
fn a_full_queue_drops_and_counts_and_no_verification_waits() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let mut other = PgConnection::establish(&server.database).unwrap();
    for statement in ["BEGIN", "LOCK TABLE event_writers IN ACCESS EXCLUSIVE MODE"] {
        diesel::sql_query(statement).execute(&mut other).unwrap();
    }
    // 40 KB of tags each: the queue is bounded by its bytes too.
    let tags: Vec<String> = (0..20).map(|index| format!("{index:02}{}", "🦀".repeat(510))).collect();
    let body = json!({"key": key.plaintext, "tags": tags});
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while metric(&server, "keyward_events_dropped_total") < 5 {
                    for _ in 0..20 {
                        assert_eq!(world.admin.ok("keys.verifyKey", body.clone())["code"], "VALID");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (answered, dropped) = (answered.into_inner(), metric(&server, "keyward_events_dropped_total"));
    let dropped = usize::try_from(dropped).unwrap();
    assert_eq!(metric(&server, "keyward_events_written_total"), 0);
    assert!((700..1000).contains(&(answered - dropped)), "{answered} verified, {dropped} dropped");
    diesel::sql_query("ROLLBACK").execute(&mut other).unwrap();
    counted(&world, answered - dropped);
    assert_eq!(metric(&server, "keyward_events_waiting"), 0);
    world.verify(&key.plaintext);
    counted(&world, answered - dropped + 1);
    assert_sums_are_those_of_the_events(&server.database);
}

#[test]
fn an_orderly_stop_writes_everything() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    (0..40).for_each(|_| drop(world.verify(&key.plaintext)));
    server.stop();
    let count = world.rows("SELECT count(*) AS count FROM verification_events WHERE workspace_id = $ws");
    assert_eq!(count, [json!({"count": 40})]);
    assert!(!world.rows("SELECT 1 AS one FROM keys WHERE workspace_id = $ws AND last_used_at IS NOT NULL").is_empty());
    assert_sums_are_those_of_the_events(&server.database);
}
