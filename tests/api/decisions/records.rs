//! Records come beside the requests: bounded in floods, complete at the end, never waited for, gone with their time.

use crate::decisions::explained;
use crate::decisions::request_id;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::faulty::Faulty;
use crate::harness::faulty::Locked;
use crate::harness::postgres;
use crate::harness::server::Options;
use chrono::Duration;
use chrono::Timelike;
use keyward::domain::decisions::class::RootKeyClass;
use keyward::domain::decisions::record::Stranger;
use keyward::model::code::Code;
use keyward::model::error::Refusal;
use keyward::model::id::RequestId;
use keyward::model::origin::Ignored;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

fn server() -> Server {
    Options::default().database(postgres::fresh_database()).flags("--auth-failures-per-minute 0").start()
}

/// Moves the clock to the first second of the next minute: what is denied now is denied in one minute.
fn begin_minute(server: &Server) {
    let into = server.clock.now().second();
    server.clock.advance(Duration::seconds(i64::from(61 - into)));
}

fn metric(server: &Server, name: &str) -> u64 {
    let text = Client::new(server.url()).get("/metrics").text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

fn count(server: &Server, query: &str) -> i64 {
    postgres::rows(&server.database, query)[0]["count"].as_i64().unwrap()
}

#[test]
fn a_flood_of_one_denial_is_one_record_that_each_of_a_thousand_requests_finds() {
    const CALLS: usize = 1_010;
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"enabled": false}));
    begin_minute(&server);
    let requests = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for _ in 0..CALLS / 5 {
                    let answer = world.admin.call("keys.verifyKey", json!({"key": key.plaintext}));
                    requests.lock().unwrap().push(request_id(&answer));
                }
            });
        }
    });
    let requests = requests.into_inner().unwrap();
    let total = eventually("all are counted", || {
        let total = count(&server, "SELECT coalesce(sum(count), 0)::bigint AS count FROM decisions");
        (total == 1_010).then_some(total)
    });
    assert_eq!((total, count(&server, "SELECT count(*) AS count FROM decisions")), (1_010, 1));
    assert_eq!(count(&server, "SELECT sum(cardinality(request_ids))::bigint AS count FROM decision_requests"), 1_000);
    let found = requests.iter().filter(|request| {
        let answer = world.admin.call("decisions.explain", json!({"requestId": request}));
        answer.status == 200 && answer.data()["count"] == 1_010 && answer.data()["requestId"] == **request
    });
    assert_eq!(found.count(), 1_001, "the first, and a thousand more");
    assert_eq!(metric(&server, "keyward_decisions_dropped_total{what=\"request\"}"), 9);
    assert_eq!(metric(&server, "keyward_decisions_dropped_total{what=\"record\"}"), 0);
}

#[test]
fn what_differs_or_comes_in_another_minute_is_another_record() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"enabled": false}));
    begin_minute(&server);
    let caller = world.root_key(&["api.*.verify_key"]);
    let verify = |by: &Client, query: &str| {
        request_id(&by.call("keys.verifyKey", json!({"key": key.plaintext, "permissions": query})))
    };
    let first = verify(&world.admin, "a");
    let mut records = BTreeSet::from([first.clone()]);
    assert!(records.insert(verify(&world.admin, "b")));
    assert!(records.insert(verify(&caller, "a")));
    let repeated = verify(&world.admin, "a");
    server.clock.advance(Duration::seconds(60));
    records.insert(verify(&world.admin, "a"));
    let stored = eventually("all are written", || {
        let rows = postgres::rows(&server.database, "SELECT request_id FROM decisions");
        (rows.len() == 4).then_some(rows)
    });
    let stored: BTreeSet<_> = stored.iter().map(|row| row["request_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(stored, records);
    let record = explained(&world.admin, &repeated);
    assert_eq!((&record["count"], &record["requestId"]), (&json!(2), &json!(repeated)));
    assert!(record["time"].as_i64() <= record["lastTime"].as_i64());
}

#[test]
fn guessed_keys_do_not_crowd_out_other_denials() {
    let server = server();
    let app = &server.app;
    begin_minute(&server);
    let guess = |text: &str| {
        let (request, stranger) = (RequestId::generate(), Stranger::of(text));
        app.denials.root_key(&RootKeyClass {
            at: app.clock.now(),
            request: &request,
            operation: "apis.listApis",
            audited: false,
            code: Code::RootKeyNotFound,
            refusal: Refusal::Unknown,
            lack: None,
            root_key: None,
            stranger: Some(&stranger),
            address: None,
            user_agent: None,
            ignored: Ignored::default(),
            cache: &app.cache,
            tell_strangers_apart: true,
        });
    };
    (0..5_000).for_each(|number| guess(&format!("guess {number}")));
    eventually("all are counted", || {
        (count(&server, "SELECT coalesce(sum(count), 0)::bigint AS count FROM decisions") == 5_000).then_some(())
    });
    assert_eq!(count(&server, "SELECT count(*) AS count FROM decisions"), 1_025, "1,024, and one for all others");
}

#[test]
fn while_nothing_can_be_written_nobody_waits_and_what_does_not_fit_is_counted() {
    let server = server();
    let world = World::on(&server);
    let api = world.api();
    let key = world.key(&api, json!({"enabled": false}));
    let locked = Locked::new(&server.database, "decisions");
    let app = &server.app;
    let caller = world.root_key::<&str>(&[]);
    let begun = Instant::now();
    assert_eq!(world.verdict(&key.plaintext), "DISABLED");
    caller.call("apis.listApis", json!({})).refused(403, "unkey/authorization/insufficient_permissions");
    // Each of these differs in its operation's end, as far as a record can tell.
    for second in 0..17_000 {
        app.denials.root_key(&RootKeyClass {
            at: app.clock.now(),
            request: &RequestId::generate(),
            operation: "apis.listApis",
            audited: false,
            code: Code::Forbidden,
            refusal: Refusal::ExpiredAt(app.clock.now() + Duration::seconds(second)),
            lack: None,
            root_key: None,
            stranger: None,
            address: None,
            user_agent: None,
            ignored: Ignored::default(),
            cache: &app.cache,
            tell_strangers_apart: false,
        });
    }
    assert!(begun.elapsed().as_secs() < 5, "nothing waits: {:?}", begun.elapsed());
    let dropped = metric(&server, "keyward_decisions_dropped_total{what=\"record\"}");
    assert!(dropped >= 17_000 - 16_384, "{dropped}");
    assert!(metric(&server, "keyward_decisions_waiting") > 15_000);
    assert_eq!(world.verdict(&key.plaintext), "DISABLED");
    locked.release();
    eventually("all that fitted is written", || (metric(&server, "keyward_decisions_waiting") == 0).then_some(()));
    assert!(count(&server, "SELECT count(*) AS count FROM decisions") > 15_000);
}

#[test]
fn the_end_writes_what_waits() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"enabled": false}));
    let denied: Vec<_> = (0..20)
        .map(|number| json!({"key": key.plaintext, "permissions": format!("p{number}")}))
        .map(|body| request_id(&world.admin.call("keys.verifyKey", body)))
        .collect();
    server.stop();
    let rows = postgres::rows(&server.database, "SELECT request_id FROM decisions");
    let stored: BTreeSet<_> = rows.iter().map(|row| row["request_id"].as_str().unwrap()).collect();
    assert!(denied.iter().all(|request| stored.contains(request.as_str())), "{} of 20", stored.len());
}

#[test]
fn denials_outlive_the_absence_of_the_database() {
    let faulty = Faulty::new(false);
    let server = faulty.serve_with("--max-staleness 1m");
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"enabled": false}));
    let caller = world.root_key(&["api.*.read_key"]);
    let verify =
        |by: &Client, query: &str| by.call("keys.verifyKey", json!({"key": key.plaintext, "permissions": query}));
    assert_eq!((verify(&world.admin, "a").status, verify(&caller, "a").status), (200, 403));
    faulty.postgres.interrupt().unwrap();
    let begun = Instant::now();
    let (verified, called) = (verify(&world.admin, "b"), verify(&caller, "b"));
    assert!(begun.elapsed().as_secs() < 2, "they do not wait for their record");
    faulty.postgres.start_again().unwrap();
    assert_eq!((verified.data()["code"].as_str(), called.status), (Some("DISABLED"), 403));
    for answer in [&verified, &called] {
        eventually("it is recorded", || {
            let body = json!({"requestId": request_id(answer)});
            (world.admin.call("decisions.explain", body).status == 200).then_some(())
        });
    }
}

#[test]
fn records_go_with_their_partitions() {
    let server = Options::default().database(postgres::fresh_database()).flags("--decisions-retention-days 7").start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"enabled": false}));
    let present = server.clock.now();
    let set = |to| server.clock.advance(to - server.clock.now());
    let partitions = |table: &str| -> BTreeSet<String> {
        let query =
            format!("SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = '{table}'::regclass");
        let rows = postgres::rows(&server.database, &query);
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    // Everything happens in the past, since what goes is what is old by the database's clock.
    set(present - Duration::days(30));
    let day = (present - Duration::days(30)).format("%Y%m%d").to_string();
    let tables = ["decisions", "decision_requests"];
    eventually("the day has its partitions", || {
        tables.iter().all(|table| partitions(table).contains(&format!("{table}_{day}"))).then_some(())
    });
    begin_minute(&server);
    let denied = || request_id(&world.admin.call("keys.verifyKey", json!({"key": key.plaintext})));
    let requests = [denied(), denied()];
    for request in &requests {
        explained(&world.admin, request);
    }
    for table in tables {
        assert_eq!(count(&server, &format!("SELECT count(*) AS count FROM {table}_{day}")), 1, "{table}");
    }
    set(present);
    eventually("they are gone", || {
        tables.iter().all(|table| !partitions(table).contains(&format!("{table}_{day}"))).then_some(())
    });
    for request in requests {
        let answer = world.admin.call("decisions.explain", json!({"requestId": request}));
        answer.refused(404, "unkey/data/decision_not_found");
    }
    assert_eq!(count(&server, "SELECT count(*) AS count FROM decisions_default"), 0);
}

#[test]
fn an_attempt_to_change_something_or_to_see_a_secret_is_in_the_audit_log() {
    let server = server();
    let world = World::on(&server);
    let key = world.key(&world.api_with(json!({"recoverable": true})), json!({"recoverable": true}));
    begin_minute(&server);
    let (id, caller) = world.root_key_until(&["api.*.read_key"], None);
    let caller = caller.header("user-agent", "curl/8");
    let denied = |operation: &str, body| request_id(&caller.call(operation, body));
    let deleting = denied("keys.deleteKey", json!({"keyId": key.id}));
    denied("keys.deleteKey", json!({"keyId": key.id}));
    let decrypting = denied("keys.getKey", json!({"keyId": key.id, "decrypt": true}));
    let reading = denied("apis.listApis", json!({}));
    let rows = eventually("all are written", || {
        explained(&world.admin, &reading);
        let rows = world.rows(
            "SELECT correlation_id, actor_type, actor_id, user_agent, address, display FROM audit_log \
             WHERE workspace_id = $ws AND event = 'authorization.denied' ORDER BY at, id",
        );
        (rows.len() >= 2).then_some(rows)
    });
    assert_eq!(rows.len(), 2, "one a record, none for what only looks: {rows:?}");
    for (row, request) in rows.iter().zip([&deleting, &decrypting]) {
        assert_eq!((&row["correlation_id"], &row["actor_id"]), (&json!(request), &json!(id)));
        assert_eq!((&row["actor_type"], &row["user_agent"]), (&json!("rootkey"), &json!("curl/8")));
        assert_eq!(row["address"], "127.0.0.1");
    }
    let display = rows[0]["display"].as_str().unwrap();
    assert!(display.contains("keys.deleteKey") && display.contains("api.*.delete_key"), "{display}");
    assert!(rows[1]["display"].as_str().unwrap().contains("decrypt_key"));
}
