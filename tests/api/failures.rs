//! Faults: the database away, killed, frozen or locked, nodes that start together, signals under load.

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::faulty::Faulty;
use crate::harness::faulty::Frozen;
use crate::harness::faulty::Locked;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::process;
use crate::harness::process::Running;
use crate::harness::server::Options;
use keyward::http::operations::OPERATIONS;
use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Flags of a server that remembers nothing.
const ASKS_ALWAYS: &str = "--max-staleness 0s";

/// The bound is 2 s; a busy machine gets one more.
const BOUND: Duration = Duration::from_secs(3);
const BOOTSTRAP: &str = "bootstrap_0123456789_abcdefghij";

/// Waits until something holds.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        process::pause();
    }
    begun.elapsed()
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

/// Asserts 503 with Retry-After, within the bound.
#[track_caller]
fn unavailable(what: &str, (answer, took): &(Answer, Duration)) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text);
    assert!(answer.headers.contains_key("retry-after"), "{what}: {:?}", answer.headers);
    assert!(!answer.text.contains("VALID"), "{what}: {}", answer.text);
    assert!(*took < BOUND, "{what} took {took:?}");
}

/// Asserts that every operation and readiness are unavailable, asked all at once, while liveness answers.
fn everything_is_unavailable(admin: &Client, key: &str) {
    thread::scope(|scope| {
        for operation in OPERATIONS {
            scope.spawn(|| {
                let answer = timed(|| admin.call(operation.name, json!({"key": key})));
                unavailable(operation.name, &answer);
                assert_eq!(answer.0.code(), "unkey/application/service_unavailable");
            });
        }
        scope.spawn(|| unavailable("readiness", &timed(|| admin.get("/health/ready"))));
        scope.spawn(|| {
            for path in ["/health/live", "/v2/liveness", "/metrics", "/version"].into_iter().cycle().take(20) {
                let (answer, took) = timed(|| admin.get(path));
                assert_eq!(answer.status, 200, "{path}");
                assert!(took < Duration::from_secs(1), "{path} took {took:?}");
                process::wait(Duration::from_millis(40));
            }
        });
    });
}

#[test]
fn without_its_database_everything_is_503_and_it_comes_back_by_itself() {
    let faulty = Faulty::new(false);
    let server = faulty.serve_with(ASKS_ALWAYS);
    let world = World::on(&server);
    let api = world.api();
    let key = world.key(&api, json!({}));
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    for _ in 0..2 {
        faulty.postgres.interrupt().unwrap();
        everything_is_unavailable(&world.admin, &key.plaintext);
        faulty.postgres.start_again().unwrap();
        eventually("it is ready again", || world.admin.get("/health/ready").status == 200);
        assert_eq!(world.verdict(&key.plaintext), "VALID");
        world.key(&api, json!({}));
    }
}

#[test]
fn a_frozen_database_is_503_in_bounded_time() {
    let faulty = Faulty::new(false);
    let server = faulty.serve_with(ASKS_ALWAYS);
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    let frozen = Frozen::new(faulty.processes());
    everything_is_unavailable(&world.admin, &key.plaintext);
    // Those that hang still hold their connections; the next ones do not wait longer for that.
    everything_is_unavailable(&world.admin, &key.plaintext);
    drop(frozen);
    eventually("it verifies again", || {
        let answer = world.admin.call("keys.verifyKey", json!({"key": key.plaintext}));
        assert!(answer.status == 503 || answer.data()["code"] == json!("VALID"), "{}", answer.text);
        answer.status == 200
    });
}

#[test]
fn a_postgres_killed_under_load_loses_nothing_that_was_acknowledged() {
    let faulty = Faulty::new(true);
    let server = faulty.serve_with(ASKS_ALWAYS);
    let world = World::on(&server);
    let api = world.api();
    let known = world.key(&api, json!({}));
    let (over, statuses, made) = (AtomicBool::new(false), Mutex::new(BTreeSet::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let created = world.admin.call("keys.createKey", json!({"apiId": api}));
                    if created.status == 200 {
                        made.lock().unwrap().push(created.data()["key"].as_str().unwrap().to_owned());
                    }
                    let verified = world.admin.call("keys.verifyKey", json!({"key": known.plaintext}));
                    assert!(verified.status != 200 || verified.data()["code"] == json!("VALID"), "{}", verified.text);
                    statuses.lock().unwrap().extend([created.status, verified.status]);
                }
            });
        }
        for _ in 0..2 {
            process::wait(Duration::from_millis(300));
            faulty.postgres.kill().unwrap();
            faulty.postgres.start_again().unwrap();
            let so_far = made.lock().unwrap().len();
            eventually("it creates keys again", || made.lock().unwrap().len() > so_far + 5);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(statuses.into_inner().unwrap().is_subset(&BTreeSet::from([200, 503])));
    for key in made.into_inner().unwrap() {
        assert_eq!(world.verdict(&key), "VALID", "a key that was acknowledged");
    }
}

#[test]
fn a_locked_table_is_503_in_bounded_time_and_nothing_piles_up() {
    let server = Options::default().flags(ASKS_ALWAYS).database(postgres::fresh_database()).start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let lock = Locked::new(&server.database, "keys");
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                unavailable(
                    "a verification",
                    &timed(|| world.admin.call("keys.verifyKey", json!({"key": key.plaintext}))),
                );
                refused.fetch_add(1, Ordering::Relaxed);
            });
        }
        for _ in 0..10 {
            let (answer, took) = timed(|| world.admin.get("/health/live"));
            assert!(answer.status == 200 && took < Duration::from_secs(1), "liveness took {took:?}");
            process::wait(Duration::from_millis(50));
        }
    });
    assert_eq!(refused.into_inner(), 40);
    let connections = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'keyward'";
    let open = postgres::rows(&server.database, connections)[0]["count"].as_i64().unwrap();
    // Beside the pool: loader and heartbeats, changes, credits.
    let most = i64::from(server.app.settings.database_connections) + 4;
    assert!(open <= most, "{open} connections");
    lock.release();
    let took = eventually("it verifies again", || {
        world.admin.call("keys.verifyKey", json!({"key": key.plaintext})).status == 200
    });
    assert!(took < BOUND, "it took {took:?} after the lock was gone");
    let waiting = "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'keyward' AND wait_event_type = 'Lock'";
    assert_eq!(postgres::rows(&server.database, waiting)[0]["count"], json!(0), "no statement waits on");
}

#[test]
fn nodes_that_start_together_on_a_blank_database_agree() {
    let url = postgres::blank_database();
    let start = |_| {
        let node = keyward("serve --listen 127.0.0.1:0 --workers 1").env("KEYWARD_BOOTSTRAP_ROOT_KEY", BOOTSTRAP);
        node.database(&url).start()
    };
    let mut nodes: Vec<_> = (0..4).map(start).collect();
    for node in &mut nodes {
        Client::new(node.url()).bearer(BOOTSTRAP).ok("apis.createApi", json!({"name": "mine"}));
    }
    let count =
        |query: &str| postgres::rows(&url, &format!("SELECT count(*) AS count FROM {query}"))[0]["count"].clone();
    assert_eq!(count("root_keys"), json!(1));
    assert_eq!(count("workspaces"), json!(1));
    assert_eq!(count("apis"), json!(4));
    let migrations = postgres::rows(&url, "SELECT version FROM __diesel_schema_migrations");
    let distinct: BTreeSet<_> = migrations.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), migrations.len());
    let applied: usize = nodes
        .into_iter()
        .map(|node| node.end_by(Signal::TERM).ok().stderr.matches("\"message\":\"migrated\"").count())
        .sum();
    assert_eq!(applied, migrations.len(), "each migration was applied by one node");
}

#[test]
fn a_newer_database_is_refused_at_the_start() {
    let url = postgres::fresh_database();
    postgres::execute(&url, "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
    for flags in ["", "--migrate false"] {
        let said = keyward("serve --listen 127.0.0.1:0").arg("--log=off").database(&url);
        let said = flags.split_whitespace().fold(said, |ran, flag| ran.arg(flag)).run().fails(1);
        assert!(said.contains("newer than this version") && said.contains("99990101000000"), "{said}");
    }
    for command in ["migrate", "workspace list", "root-key list"] {
        assert!(keyward(command).database(&url).run().fails(1).contains("newer than this version"), "{command}");
    }
    keyward("migrate --list").database(&url).run().ok();
}

/// A real process on a database of its own, with a key to verify.
struct Node {
    process: Running,
    database: String,
    admin: Client,
    address: String,
    key: String,
}

impl Node {
    fn start(flags: &str) -> Self {
        let database = postgres::fresh_database();
        let command =
            keyward("serve --listen 127.0.0.1:0 --workers 2 --log warn").env("KEYWARD_BOOTSTRAP_ROOT_KEY", BOOTSTRAP);
        let command = flags.split_whitespace().fold(command, |command, flag| command.arg(flag));
        let mut process = command.database(&database).start();
        let url = process.url();
        let admin = Client::new(&url).bearer(BOOTSTRAP);
        let api = admin.ok("apis.createApi", json!({"name": "mine"}))["apiId"].clone();
        let key = admin.ok("keys.createKey", json!({"apiId": api}))["key"].as_str().unwrap().to_owned();
        Self { process, database, admin, address: url.trim_start_matches("http://").to_owned(), key }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }

    /// Verifies the key on a connection; returns the answer's status, and whether the connection ends with it.
    fn verify_on(&self, stream: &mut TcpStream) -> io::Result<(u16, bool)> {
        let body = json!({"key": self.key}).to_string();
        let head = format!(
            "POST /v2/keys.verifyKey HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {BOOTSTRAP}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        read_answer(stream)
    }

    fn readiness(&self) -> Option<u16> {
        let mut stream = self.connect().ok()?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
        read_answer(&mut stream).ok().map(|(status, _)| status)
    }
}

fn read_answer(stream: &mut TcpStream) -> io::Result<(u16, bool)> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    stream.read_exact(&mut vec![0; length])?;
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    Ok((status, head.contains("connection: close")))
}

#[test]
fn sigterm_under_load_loses_no_request() {
    let node = Node::start("");
    let (removed, served, closed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let took = thread::scope(|scope| {
        // Half of the clients keep their connections, half open one a request; a load balancer stops sending to this
        // node some time after it has seen that it is not ready.
        for keeps in [true, true, false, false] {
            let (node, removed, served, closed) = (&node, &removed, &served, &closed);
            scope.spawn(move || {
                let mut kept = None;
                while !removed.load(Ordering::Relaxed) {
                    let mut stream = match kept.take() {
                        Some(stream) => stream,
                        None => node.connect().unwrap(),
                    };
                    let (status, closes) = node.verify_on(&mut stream).unwrap();
                    assert_eq!(status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                    closed.fetch_add(usize::from(closes), Ordering::Relaxed);
                    kept = (keeps && !closes).then_some(stream);
                }
            });
        }
        process::wait(Duration::from_millis(300));
        assert_eq!(node.readiness(), Some(200));
        assert_eq!(closed.load(Ordering::Relaxed), 0);
        node.process.signal(Signal::TERM);
        let signalled = Instant::now();
        eventually("it says that it is not ready", || node.readiness() == Some(503));
        assert_eq!(node.admin.get("/health/live").status, 200, "it still lives");
        process::wait(Duration::from_millis(300));
        removed.store(true, Ordering::Relaxed);
        signalled
    });
    let ended = node.process.end().ok();
    assert!(took.elapsed() < Duration::from_secs(5), "{ended:?}");
    assert!(served.into_inner() > 50, "there was load");
    assert!(closed.into_inner() >= 2, "connections that are kept are closed by an answer");
}

#[test]
fn a_request_in_flight_at_sigterm_gets_its_answer() {
    let node = Node::start("");
    let lock = Locked::new(&node.database, "keys");
    let status = thread::scope(|scope| {
        let waiting = scope.spawn(|| node.verify_on(&mut node.connect().unwrap()).unwrap());
        let lock_waiters =
            "SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the request waits", || !postgres::rows(&node.database, lock_waiters).is_empty());
        node.process.signal(Signal::TERM);
        eventually("it says that it is not ready", || node.readiness() == Some(503));
        process::wait(Duration::from_millis(300));
        lock.release();
        waiting.join().unwrap()
    });
    assert_eq!(status, (200, true), "answered, and told to close");
    node.process.end().ok();
}

#[test]
fn the_drain_has_a_deadline() {
    let node = Node::start("--drain-timeout-ms 400 --database-timeout-ms 20000");
    let lock = Locked::new(&node.database, "keys");
    let mut stream = node.connect().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| node.verify_on(&mut stream).unwrap_err());
        process::wait(Duration::from_millis(300));
        node.process.signal(Signal::TERM);
        let begun = Instant::now();
        eventually("it ended", || node.connect().is_err());
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    });
    let ended = node.process.end().ok();
    assert!(ended.took < BOUND, "{:?}", ended.took);
    assert!(ended.stderr.contains("the deadline passed"), "{}", ended.stderr);
    lock.release();
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let node = Node::start("");
    let mut used = node.connect().unwrap();
    assert_eq!(node.verify_on(&mut used).unwrap(), (200, false));
    let _never_used = node.connect().unwrap();
    let mut half = node.connect().unwrap();
    half.write_all(b"POST /v2/keys.verifyKey HTT").unwrap();
    let ended = node.process.end_by(Signal::TERM).ok();
    assert!(ended.took < Duration::from_secs(2), "{:?}", ended.took);
}

#[test]
fn a_frozen_database_does_not_keep_the_server_from_ending() {
    let faulty = Faulty::new(false);
    let serving = keyward("serve --listen 127.0.0.1:0 --log warn").env("KEYWARD_BOOTSTRAP_ROOT_KEY", BOOTSTRAP);
    let mut serving = serving.database(faulty.postgres.url()).start();
    let admin = Client::new(serving.url()).bearer(BOOTSTRAP);
    admin.ok("apis.createApi", json!({"name": "mine"}));
    let _frozen = Frozen::new(faulty.processes());
    thread::scope(|scope| {
        let create = || timed(|| admin.call("apis.createApi", json!({"name": "mine"})));
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
        process::wait(Duration::from_millis(300));
        serving.signal(Signal::TERM);
        for answer in waiting {
            unavailable("what was in flight", &answer.join().unwrap());
        }
    });
    let ended = serving.end().ok();
    assert!(ended.took < BOUND, "{:?}", ended.took);
}
