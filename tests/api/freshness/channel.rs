//! The channel by which nodes hear of changes, cut in every way: what was revoked does not verify for longer than the bound,
//! right answers go on, and it heals by itself.

use crate::freshness::Load;
use crate::freshness::Shot;
use crate::freshness::at;
use crate::freshness::enable;
use crate::freshness::last_of;
use crate::freshness::report;
use crate::freshness::rounds;
use crate::freshness::state;
use crate::freshness::trusting;
use crate::freshness::verdict;
use crate::freshness::warm;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::MadeKey;
use crate::harness::postgres;
use crate::harness::process;
use crate::harness::proxy::Proxy;
use crate::harness::proxy::Silent;
use crate::harness::server::Options;
use keyward::metrics::CacheState;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

/// Kills every connection on which somebody listens.
const KILL: &str = "SELECT count(pg_terminate_backend(pid)) AS killed FROM pg_stat_activity \
    WHERE datname = current_database() AND query LIKE 'LISTEN %'";

/// Every connection on which somebody listens.
const LISTENING: &str = "SELECT 1 AS one FROM pg_stat_activity \
    WHERE datname = current_database() AND query LIKE 'LISTEN %' AND state = 'idle'";

/// One change of the hot key: when it was answered, and when the next one was begun.
struct Turn {
    enabled: bool,
    from: Instant,
    to: Instant,
}

/// Disables and enables the key where nothing is cut, under load on the other node; each lasts until that node says so.
/// Asserts of everything that *began* after the bound that it knows. Returns how long the latest wrong answers lasted.
fn turn(
    world: &World<'_>,
    client: &Client,
    key: &MadeKey,
    bound: Duration,
    meanwhile: impl Fn(usize),
) -> Vec<Duration> {
    let (turns, shots) = Load::during(2, client, &key.plaintext, |load| {
        let mut turns: Vec<Turn> = Vec::new();
        for number in 0..rounds(2) * 2 {
            meanwhile(number);
            let enabled = number % 2 == 1;
            if let Some(last) = turns.last_mut() {
                last.to = Instant::now();
            }
            let from = enable(world, &key.id, enabled);
            turns.push(Turn { enabled, from, to: from + Duration::from_secs(3600) });
            load.until(from, if enabled { "VALID" } else { "DISABLED" });
        }
        turns
    });
    judge(&turns, &shots, bound)
}

fn judge(turns: &[Turn], shots: &[Shot], bound: Duration) -> Vec<Duration> {
    let said: BTreeSet<_> = shots.iter().map(|shot| shot.said.as_str()).collect();
    assert!(said.is_subset(&BTreeSet::from(["VALID", "DISABLED", "503"])), "{said:?}");
    let wrong = |turn: &Turn| {
        let wrong = if turn.enabled { "DISABLED" } else { "VALID" };
        last_of(shots, wrong, turn.from, turn.to).unwrap_or_default()
    };
    let lags: Vec<_> = turns.iter().map(wrong).collect();
    // Exact: a proof is dated before it is sent, and what began later was judged later.
    assert!(lags.iter().all(|lag| *lag <= bound), "the bound is {bound:?}: {lags:?}");
    lags
}

/// A node that revokes, undisturbed, and one behind a proxy, warm.
struct Pair {
    /// Dropped first: the connections of the servers end then.
    proxy: Proxy,
    here: Server,
    there: Server,
}

impl Pair {
    fn new(flags: &str) -> Self {
        let database = postgres::fresh_database();
        let proxy = Proxy::before(&database);
        let there = trusting(proxy.url(), flags);
        Self { proxy, here: trusting(&database, ""), there }
    }

    fn heals(&self, client: &Client, key: &str) {
        eventually("it trusts what it remembers again", || state(&self.there).trusted.then_some(()));
        warm(&self.there, client, key);
    }
}

#[test]
fn while_all_is_well_a_change_is_known_in_milliseconds() {
    let pair = Pair::new("");
    let world = World::on(&pair.here);
    let client = at(&pair.there, &world.admin);
    let key = world.key(&world.api(), json!({}));
    warm(&pair.there, &client, &key.plaintext);
    let mut lags = Vec::new();
    for _ in 0..5 {
        lags.extend(turn(&world, &client, &key, Duration::from_secs(1), |_| ()));
    }
    report("a sound channel, under load", lags);
}

#[test]
fn a_channel_that_is_killed_again_and_again_costs_no_bound() {
    for (flags, bound) in [("--max-staleness 1s", 1000), ("--max-staleness 400ms", 400)] {
        let database = postgres::fresh_database();
        let (here, there) = (trusting(&database, flags), trusting(&database, flags));
        let world = World::on(&here);
        let client = at(&there, &world.admin);
        let key = world.key(&world.api(), json!({}));
        warm(&there, &client, &key.plaintext);
        let lags = turn(&world, &client, &key, Duration::from_millis(bound), |_| {
            eventually("both listen", || (postgres::rows(&database, LISTENING).len() == 2).then_some(()));
            for _ in 0..4 {
                postgres::rows(&database, KILL);
                process::wait(Duration::from_millis(30));
            }
            postgres::rows(&database, KILL);
        });
        report(&format!("a channel that is killed, {flags}"), lags);
        for node in [&here, &there] {
            eventually("it trusts what it remembers again", || state(node).trusted.then_some(()));
        }
        warm(&there, &client, &key.plaintext);
    }
}

#[test]
fn a_silent_channel_is_noticed_and_the_node_asks_until_it_speaks_again() {
    for (flags, bound) in [("--max-staleness 1s", 1000), ("--max-staleness 400ms", 400)] {
        let pair = Pair::new(flags);
        let world = World::on(&pair.here);
        let client = at(&pair.there, &world.admin);
        let key = world.key(&world.api(), json!({}));
        warm(&pair.there, &client, &key.plaintext);
        let lags = turn(&world, &client, &key, Duration::from_millis(bound), |number| match number {
            0 => pair.proxy.silence(Silent::Listening),
            _ => eventually("it trusts nothing", || (!state(&pair.there).trusted).then_some(())),
        });
        // From memory it was wrong until the bound; since it asks it never is.
        assert_eq!(lags[1..].iter().max(), Some(&Duration::ZERO), "{lags:?}");
        report(&format!("a silent channel, {flags}"), lags);
        let before = state(&pair.there);
        assert_eq!(verdict(&client, &key.plaintext), "VALID");
        assert_eq!(state(&pair.there).hits, before.hits, "nothing is answered from memory");
        pair.proxy.silence(Silent::None);
        pair.heals(&client, &key.plaintext);
        enable(&world, &key.id, false);
        crate::harness::soon("DISABLED".to_owned(), || verdict(&client, &key.plaintext));
    }
}

#[test]
fn a_channel_whose_connections_are_lost_without_a_word_is_made_anew() {
    let pair = Pair::new("--max-staleness 500ms");
    let world = World::on(&pair.here);
    let client = at(&pair.there, &world.admin);
    let key = world.key(&world.api(), json!({}));
    warm(&pair.there, &client, &key.plaintext);
    pair.proxy.silence(Silent::Listening);
    eventually("it trusts nothing", || (!state(&pair.there).trusted).then_some(()));
    // By now it has tried again, and waits for the answer to its LISTEN.
    process::wait(Duration::from_millis(500));
    pair.proxy.lose_what_is_silent();
    pair.heals(&client, &key.plaintext);
}

/// The node subscribes first and forgets then. What changes while it does so is known afterwards, though the entry was
/// remembered a moment ago and the bound is far away: whether its `LISTEN` has not arrived yet, or has and is not answered.
#[test]
fn a_change_while_a_node_subscribes_is_not_lost() {
    let pair = Pair::new("--max-staleness 60s");
    let world = World::on(&pair.here);
    let client = at(&pair.there, &world.admin);
    let api = world.api();
    for held in [Silent::Listening, Silent::Heard] {
        for _ in 0..rounds(2) {
            let key = world.key(&api, json!({}));
            warm(&pair.there, &client, &key.plaintext);
            let before = pair.proxy.subscriptions();
            pair.proxy.silence(held);
            pair.proxy.close(Silent::Listening);
            eventually("it subscribes anew", || (pair.proxy.subscriptions() > before).then_some(()));
            if held == Silent::Heard {
                // Of the other node, and this one.
                let both = || postgres::rows(&pair.here.database, LISTENING).len() == 2;
                eventually("its LISTEN has come", || both().then_some(()));
            }
            // Remembered after a clear that would come too early.
            warm(&pair.there, &client, &key.plaintext);
            enable(&world, &key.id, false);
            assert_eq!(verdict(&client, &key.plaintext), "VALID", "nobody has told it");
            pair.proxy.silence(Silent::None);
            crate::harness::soon("DISABLED".to_owned(), || verdict(&client, &key.plaintext));
            eventually("it trusts what it remembers again", || state(&pair.there).trusted.then_some(()));
        }
    }
}

#[test]
fn a_channel_that_cannot_be_made_anew_is_no_fault_of_the_answers() {
    let pair = Pair::new("--max-staleness 500ms");
    let world = World::on(&pair.here);
    let client = at(&pair.there, &world.admin);
    let key = world.key(&world.api(), json!({}));
    warm(&pair.there, &client, &key.plaintext);
    let lags = turn(&world, &client, &key, Duration::from_millis(500), |_| {
        pair.proxy.refuse(true);
        pair.proxy.close(Silent::Listening);
    });
    report("a channel that cannot be made anew", lags);
    assert!(!state(&pair.there).trusted);
    pair.proxy.refuse(false);
    pair.heals(&client, &key.plaintext);
}

#[test]
fn behind_a_pooler_nothing_is_remembered_and_every_answer_is_right() {
    let database = postgres::fresh_database();
    let proxy = Proxy::before(&database);
    proxy.be_deaf(true);
    let there = Options::default().flags("--max-staleness 1s").database(proxy.url()).start();
    let here = trusting(&database, "");
    let world = World::on(&here);
    let client = at(&there, &world.admin);
    let key = world.key(&world.api(), json!({}));
    let lags = turn(&world, &client, &key, Duration::ZERO, |_| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(600) {
            assert!(!state(&there).trusted, "no heartbeat ever comes");
            process::pause();
        }
    });
    report("behind a pooler", lags);
    let CacheState { hits, trusted, staleness, .. } = state(&there);
    assert_eq!((hits, trusted, staleness), (0, false, None));
    proxy.be_deaf(false);
    eventually("it trusts what it remembers", || state(&there).trusted.then_some(()));
    warm(&there, &client, &key.plaintext);
}
