//! The database away, slow or silent: what is remembered is used until the bound and not a moment longer, every wait is
//! bounded, and it comes back by itself.

use crate::freshness::Load;
use crate::freshness::Shot;
use crate::freshness::at;
use crate::freshness::enable;
use crate::freshness::last_of;
use crate::freshness::report;
use crate::freshness::rounds;
use crate::freshness::said;
use crate::freshness::state;
use crate::freshness::trusting;
use crate::freshness::verdict;
use crate::freshness::warm;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::faulty::Faulty;
use crate::harness::faulty::Frozen;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::process;
use crate::harness::process::Running;
use crate::harness::proxy::Proxy;
use crate::harness::proxy::Silent;
use crate::harness::soon;
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

const BOUND: Duration = Duration::from_secs(1);
const FLAGS: &str = "--max-staleness 1s --database-timeout-ms 700";
/// Longest time to any answer: the two seconds that are promised, and one for a busy machine.
const ANSWERED: Duration = Duration::from_secs(3);
const BOOTSTRAP: &str = "bootstrap_0123456789_abcdefghij";

/// Asserts that nothing was said but these, and nothing late.
#[track_caller]
fn only(shots: &[Shot], codes: &[&str]) {
    let mut counts = BTreeMap::new();
    shots.iter().for_each(|shot| *counts.entry(shot.said.as_str()).or_insert(0) += 1);
    assert!(counts.keys().all(|said| codes.contains(said)), "{counts:?}");
    let longest = shots.iter().map(|shot| shot.took).max().unwrap();
    assert!(longest < ANSWERED, "the longest took {longest:?}");
}

/// Takes the database away under load; the warm key verifies until the bound, from then on it is 503, and in the end VALID.
fn outage(what: &str, world: &World<'_>, key: &str, away: impl FnOnce(), back: impl FnOnce()) {
    let (moments, shots) = Load::during(2, &world.admin, key, |load| {
        let begun = Instant::now();
        away();
        let gone = Instant::now();
        load.until(gone + BOUND, "503");
        load.until(gone + BOUND + Duration::from_millis(300), "503");
        let asked_back = Instant::now();
        back();
        load.until(asked_back, "VALID");
        (begun, gone, asked_back)
    });
    let (begun, gone, asked_back) = moments;
    only(&shots, &["VALID", "503"]);
    let last = last_of(&shots, "VALID", gone, asked_back).unwrap_or_default();
    assert!(last <= BOUND, "{what}: VALID {last:?} after the database had gone");
    let first = shots.iter().find(|shot| shot.said == "503").unwrap().begun - begun;
    // The last proof was at most a heartbeat's interval old, and a busy machine may have been late with it.
    assert!(first > BOUND / 3, "{what}: 503 as soon as {first:?} after the database went, though the key was warm");
    report(&format!("{what}: VALID after the database had gone"), vec![last]);
    eventually("it trusts what it remembers again", || state(world.server).trusted.then_some(()));
    warm(world.server, &world.admin, key);
}

#[test]
fn without_its_database_a_warm_node_verifies_until_the_bound_and_not_longer() {
    let faulty = Faulty::new(false);
    let server = trusting(faulty.postgres.url(), FLAGS);
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    warm(&server, &world.admin, &key.plaintext);
    let stop = || faulty.postgres.interrupt().unwrap();
    let start = || faulty.postgres.start_again().unwrap();
    outage("stopped", &world, &key.plaintext, stop, start);
    let frozen = Mutex::new(None);
    let freeze = || *frozen.lock().unwrap() = Some(Frozen::new(faulty.processes()));
    let thaw = || drop(frozen.lock().unwrap().take());
    outage("frozen", &world, &key.plaintext, freeze, thaw);
}

#[test]
fn behind_a_proxy_that_goes_silent_a_warm_node_verifies_until_the_bound_and_not_longer() {
    let proxy = Proxy::before(&postgres::fresh_database());
    let server = trusting(proxy.url(), FLAGS);
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    warm(&server, &world.admin, &key.plaintext);
    let (silence, speak) = (|| proxy.silence(Silent::All), || proxy.silence(Silent::None));
    outage("silent", &world, &key.plaintext, silence, speak);
    let (silence, close) = (
        || proxy.silence(Silent::All),
        || {
            proxy.close(Silent::All);
            proxy.silence(Silent::None);
        },
    );
    outage("silent, then closed", &world, &key.plaintext, silence, close);
}

#[test]
fn what_another_process_revokes_while_a_node_is_cut_off_is_revoked_as_soon_as_it_is_back() {
    // A bound that is not reached: what was missed is forgotten when the channel is made anew.
    const FLAGS: &str = "--max-staleness 20s --database-timeout-ms 700 --auth-failures-per-minute 0";
    let faulty = Faulty::new(false);
    let server = trusting(faulty.postgres.url(), FLAGS);
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    for _ in 0..rounds(1) {
        warm(&server, &world.admin, &key.plaintext);
        let (revoked, shots) = Load::during(2, &world.admin, &key.plaintext, |load| {
            // As in a failover: what happens before the node listens again is told to nobody.
            faulty.postgres.interrupt().unwrap();
            faulty.postgres.start_again().unwrap();
            let command = keyward("workspace disable").arg(&world.name).database(faulty.postgres.url());
            command.run().ok();
            let revoked = Instant::now();
            load.until(revoked, "403");
            process::wait(Duration::from_millis(200));
            revoked
        });
        only(&shots, &["VALID", "403", "503"]);
        let last = last_of(&shots, "VALID", revoked, Instant::now()).unwrap_or_default();
        assert!(last <= BOUND, "VALID {last:?} after the workspace was disabled");
        report("after a failover", vec![last]);
        keyward("workspace enable").arg(&world.name).database(faulty.postgres.url()).run().ok();
        eventually("it verifies again", || (verdict(&world.admin, &key.plaintext) == "VALID").then_some(()));
    }
}

/// How long the database stays away: longer than the bound. `KEYWARD_TEST_OUTAGE_S` makes it a minute (`make soak`).
fn outage_length() -> Duration {
    let asked = std::env::var_os("KEYWARD_TEST_OUTAGE_S");
    Duration::from_secs(asked.map_or(3, |seconds| seconds.to_str().unwrap().parse().expect("a number of seconds")))
}

#[test]
fn two_nodes_outlive_a_database_that_is_away_for_longer_than_the_bound() {
    let faulty = Faulty::new(false);
    let nodes = [trusting(faulty.postgres.url(), FLAGS), trusting(faulty.postgres.url(), FLAGS)];
    let world = World::on(&nodes[0]);
    let (there, api) = (at(&nodes[1], &world.admin), world.api());
    let [key, revoked, cold] = [(); 3].map(|()| world.key(&api, json!({})));
    for key in [&key, &revoked] {
        warm(&nodes[0], &world.admin, &key.plaintext);
        warm(&nodes[1], &there, &key.plaintext);
    }
    let ((moments, here), over_there) = Load::during(1, &there, &key.plaintext, |other| {
        Load::during(1, &world.admin, &key.plaintext, |load| {
            faulty.postgres.interrupt().unwrap();
            let gone = Instant::now();
            process::wait(outage_length());
            let asked_back = Instant::now();
            faulty.postgres.start_again().unwrap();
            let back = [load, other].map(|load| load.until(asked_back, "VALID"));
            report("VALID again after the database was back", back.to_vec());
            (gone, asked_back)
        })
    });
    let (gone, asked_back) = moments;
    for shots in [&here, &over_there] {
        only(shots, &["VALID", "503"]);
        let last = last_of(shots, "VALID", gone, asked_back).unwrap_or_default();
        assert!(last <= BOUND, "VALID {last:?} after the database had gone");
        let refused = last_of(shots, "503", gone, asked_back).unwrap();
        assert!(refused + ANSWERED > asked_back - gone, "503 to the end: {refused:?}");
    }
    // Everything works again on both, without a restart: what is cold, what is written, and what is told.
    for client in [&world.admin, &there] {
        assert_eq!(verdict(client, &cold.plaintext), "VALID");
        client.ok("keys.createKey", json!({"apiId": api}));
    }
    for node in &nodes {
        eventually("it trusts what it remembers again", || state(node).trusted.then_some(()));
    }
    warm(&nodes[1], &there, &revoked.plaintext);
    enable(&world, &revoked.id, false);
    soon("DISABLED".to_owned(), || verdict(&there, &revoked.plaintext));
}

/// A real process with a key to verify.
struct Node {
    process: Running,
    admin: Client,
    api: String,
    key: String,
}

impl Node {
    fn start(database: &str, flags: &str) -> Self {
        let command = keyward("serve --listen 127.0.0.1:0 --workers 2 --log warn --database-connections 8");
        let command = flags.split_whitespace().fold(command, |command, flag| command.arg(flag));
        let mut process = command.env("KEYWARD_BOOTSTRAP_ROOT_KEY", BOOTSTRAP).database(database).start();
        let admin = Client::new(process.url()).bearer(BOOTSTRAP);
        let api = admin.ok("apis.createApi", json!({"name": "mine"}))["apiId"].as_str().unwrap().to_owned();
        let key = admin.ok("keys.createKey", json!({"apiId": api}))["key"].as_str().unwrap().to_owned();
        Self { process, admin, api, key }
    }

    fn make(&self, count: usize) -> Vec<String> {
        let make = |_| self.admin.ok("keys.createKey", json!({"apiId": self.api}))["key"].as_str().unwrap().to_owned();
        (0..count).map(make).collect()
    }
}

#[test]
fn a_slow_database_is_waited_for_in_bounds_and_nothing_piles_up() {
    let proxy = Proxy::before(&postgres::fresh_database());
    let node = Node::start(&proxy.url(), FLAGS);
    let cold = node.make(200);
    eventually("the key is warm", || (verdict(&node.admin, &node.key) == "VALID").then_some(()));
    let before = node.process.threads();
    proxy.delay(Duration::from_millis(100));
    let (unasked, answers, threads) = (Mutex::new(cold.iter()), Mutex::new(Vec::new()), Mutex::new(0));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                while begun.elapsed() < Duration::from_millis(2500) {
                    // Each key is cold once; when there are no more, texts that are no key.
                    let next = unasked.lock().unwrap().next().cloned();
                    let expected = if next.is_some() { "VALID" } else { "NOT_FOUND" };
                    let text = next.unwrap_or_else(|| format!("no key {:?}", begun.elapsed()));
                    let begun = Instant::now();
                    let answer = node.admin.call("keys.verifyKey", json!({"key": text}));
                    let said = said(&answer);
                    assert!(said == expected || said == "503", "{}", answer.text);
                    answers.lock().unwrap().push((said, begun.elapsed()));
                }
            });
        }
        // The control plane waits as well.
        for _ in 0..12 {
            scope.spawn(|| {
                while begun.elapsed() < Duration::from_millis(2500) {
                    let begun = Instant::now();
                    let answer = node.admin.call("keys.createKey", json!({"apiId": node.api}));
                    assert!([200, 503].contains(&answer.status), "{}", answer.text);
                    answers.lock().unwrap().push((answer.status.to_string(), begun.elapsed()));
                }
            });
        }
        while begun.elapsed() < Duration::from_millis(2500) {
            let now = node.process.threads();
            let mut most = threads.lock().unwrap();
            *most = now.max(*most);
            process::pause();
        }
    });
    let answers = answers.into_inner().unwrap();
    let longest = answers.iter().map(|(_, took)| *took).max().unwrap();
    assert!(longest < ANSWERED, "the longest took {longest:?}");
    let verified = answers.iter().filter(|(said, _)| ["VALID", "NOT_FOUND"].contains(&said.as_str())).count();
    assert!(verified >= 24, "the slow database is asked by many at once: {verified} of {}", answers.len());
    // The pool, loader and heartbeats, changes, credits; and one that is being replaced.
    assert!(proxy.most() <= 8 + 4 + 1, "{} connections", proxy.most());
    let most = threads.into_inner().unwrap();
    assert!(most <= before + 16, "{most} threads, {before} before");
    report("a slow database, answers", answers.into_iter().map(|(_, took)| took).collect());
    println!("a slow database: {verified} verified, {} connections at most, {before} to {most} threads", proxy.most());
    proxy.delay(Duration::ZERO);
    let (fast, begun) = (node.make(1), Instant::now());
    assert_eq!(verdict(&node.admin, &fast[0]), "VALID");
    assert!(begun.elapsed() < Duration::from_secs(1), "nothing waits from before: {:?}", begun.elapsed());
    eventually("connections are few again", || (proxy.open() <= 8 + 4).then_some(()));
}

#[test]
fn sigterm_under_load_loses_no_event() {
    let database = postgres::fresh_database();
    let node = Node::start(&database, "");
    let count = || {
        let rows =
            postgres::rows(&database, "SELECT count(*) AS count FROM verification_events WHERE outcome = 'VALID'");
        usize::try_from(rows[0]["count"].as_i64().unwrap()).unwrap()
    };
    let (over, answered) = (AtomicBool::new(false), Mutex::new((0_usize, 0_usize)));
    let (admin, key) = (&node.admin, &node.key);
    let ended = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let answer = admin.attempt("keys.verifyKey", json!({"key": key}));
                    let mut answered = answered.lock().unwrap();
                    match answer.as_ref().map(said).as_deref() {
                        Some("VALID") => answered.0 += 1,
                        // Refused by a server that has gone, or that is about to.
                        None | Some("503") => answered.1 += 1,
                        Some(other) => panic!("{other}"),
                    }
                }
            });
        }
        process::wait(Duration::from_millis(700));
        assert!(answered.lock().unwrap().1 == 0, "every request was answered so far");
        let ended = node.process.end_by(Signal::TERM);
        over.store(true, Ordering::Relaxed);
        ended
    });
    ended.ok();
    let (valid, refused) = answered.into_inner().unwrap();
    assert!(valid > 100, "there was load");
    assert!(refused > 0, "the load went on to the end");
    assert_eq!(count(), valid, "each VALID has its event");
}
