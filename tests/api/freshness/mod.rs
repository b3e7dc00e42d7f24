//! How soon a change takes effect everywhere, and what is answered when it cannot be known: nodes that are warm, a channel
//! that is cut, a database that is away.
//!
//! The rounds are few by default; `KEYWARD_TEST_ROUNDS` makes them many (`make soak`).

mod channel;
mod database;
mod edges;
mod races;
mod silence;

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::process;
use crate::harness::server::Options;
use keyward::metrics::CacheState;
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// How many rounds a test shall have.
fn rounds(short: usize) -> usize {
    let asked = std::env::var_os("KEYWARD_TEST_ROUNDS");
    asked.map_or(short, |rounds| rounds.to_str().unwrap().parse().expect("KEYWARD_TEST_ROUNDS is a number"))
}

/// A server that remembers and is sure of what it remembers.
fn trusting(url: impl Into<String>, flags: &str) -> Server {
    let server = Options::default().flags(flags).database(url).start();
    eventually("it hears of changes", || state(&server).trusted.then_some(()));
    server
}

fn state(server: &Server) -> CacheState {
    server.app.cache.state()
}

/// A client of another server, with the same root key.
pub fn at(server: &Server, client: &Client) -> Client {
    Client::new(server.url()).bearer(client.root_key())
}

/// What a verification came to: its code, or the status of an answer without one.
fn verdict(client: &Client, key: &str) -> String {
    said(&client.call("keys.verifyKey", json!({"key": key})))
}

fn said(answer: &Answer) -> String {
    let code = answer.data()["code"].as_str();
    code.map_or_else(|| answer.status.to_string(), ToOwned::to_owned)
}

/// Verifies a key until it is what the database says, and again from what is remembered.
#[track_caller]
fn warm(server: &Server, client: &Client, key: &str) {
    eventually("it is remembered", || {
        assert_eq!(verdict(client, key), "VALID");
        let before = state(server);
        assert_eq!(verdict(client, key), "VALID");
        (state(server).hits >= before.hits + 2).then_some(())
    });
}

/// One verification: when it began and ended, and what it said.
#[derive(Clone, Debug)]
struct Shot {
    begun: Instant,
    took: Duration,
    said: String,
}

/// What constant load on one key has been answered.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    shots: Mutex<Vec<Shot>>,
}

impl Load {
    /// Verifies the key on so many threads for as long as `meanwhile` takes; returns what that returned, and every shot.
    fn during<T>(threads: usize, client: &Client, key: &str, meanwhile: impl FnOnce(&Self) -> T) -> (T, Vec<Shot>) {
        let load = Self::default();
        let done = thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| load.shoot(client, key));
            }
            let _ends = Ends(&load.over);
            meanwhile(&load)
        });
        (done, load.shots.into_inner().unwrap())
    }

    fn shoot(&self, client: &Client, key: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let said = verdict(client, key);
            let shot = Shot { begun, took: begun.elapsed(), said };
            self.shots.lock().unwrap().push(shot);
            // Leaves something of a small machine to the servers.
            process::wait(Duration::from_millis(1));
        }
    }

    /// Waits until a shot that began after a moment says this; returns how long after the moment it began.
    #[track_caller]
    fn until(&self, since: Instant, expected: &str) -> Duration {
        eventually(expected, || {
            let shots = self.shots.lock().unwrap();
            let found = shots.iter().find(|shot| shot.begun > since && shot.said == expected);
            found.map(|shot| shot.begun - since)
        })
    }
}

/// Ends the load however its scope is left.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Of the shots that began and ended between two moments, how long after the first one the last began that said this; `None`
/// if none did.
fn last_of(shots: &[Shot], said: &str, from: Instant, to: Instant) -> Option<Duration> {
    let between = shots.iter().filter(|shot| shot.begun > from && shot.begun + shot.took <= to && shot.said == said);
    between.map(|shot| shot.begun - from).max()
}

/// Enables or disables a key, and says when the answer was there.
fn enable(world: &World<'_>, id: &str, enabled: bool) -> Instant {
    world.admin.ok("keys.updateKey", json!({"keyId": id, "enabled": enabled}));
    Instant::now()
}

/// Prints what was measured, for those who run the tests with `--nocapture`.
#[expect(clippy::print_stdout, reason = "it is shown on request")]
fn report(what: &str, mut lags: Vec<Duration>) {
    lags.sort_unstable();
    let at = |share: usize| lags.get(lags.len() * share / 100).or(lags.last());
    println!("{what}: {} lags, p50 {:?}, p95 {:?}, max {:?}", lags.len(), at(50), at(95), lags.last());
}
