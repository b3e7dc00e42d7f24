//! Counting in Redis: the same answers as memory, exact over several servers, quick and honest while it is away.

use crate::harness::Client;
use crate::harness::Redis;
use crate::harness::Server;
use crate::harness::eventually;
use crate::harness::postgres;
use crate::harness::server::Options;
use crate::limiter::LONG_MS;
use crate::limiter::block_on;
use crate::limiter::now;
use crate::limiter::take;
use crate::limiter::take_at;
use crate::limiter::token;
use crate::limiter::unique;
use crate::limiter::used;
use keyward::limiter::Counter;
use keyward::limiter::Limiter;
use keyward::limiter::Take;
use keyward::limiter::memory::Memory;
use keyward::limiter::window::MAX_DURATION_MS;
use keyward::limiter::window::MAX_TOKENS;
use keyward::model::id::KeyId;
use keyward::model::id::WorkspaceId;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop_oneof;
use proptest::test_runner::Config;
use proptest::test_runner::TestRunner;
use rustix::process::Signal;
use std::time::Duration;
use std::time::Instant;

fn open(redis: &Redis) -> Limiter {
    Limiter::Redis(keyward::limiter::redis::Redis::open(&redis.url(), Duration::from_secs(5)).unwrap())
}

fn serve(redis: &Redis) -> Server {
    let flags = format!("--redis-url {}", redis.url());
    let server = Options::default().database(postgres::fresh_database()).flags(&flags).start();
    assert_eq!(Client::new(server.url()).get("/health/ready").status, 200);
    server
}

/// One step of a clock, and the takes of one call.
type Call = (i64, Vec<(u8, u64, u64)>, bool);

fn calls() -> impl Strategy<Value = (usize, u64, Vec<Call>)> {
    let small = (0..3_u8, 0..20_u64, 0..8_u64);
    let tokens = || prop_oneof![0..5_u64, MAX_TOKENS / 2..=MAX_TOKENS + 1, any::<u64>()];
    let great = (0..3_u8, tokens(), tokens());
    let durations = prop_oneof![
        proptest::strategy::Just(1000_u64),
        1000..100_000_u64,
        MAX_DURATION_MS / 3..=MAX_DURATION_MS,
        proptest::strategy::Just(u64::MAX)
    ];
    let take = prop_oneof![small.clone(), small, great];
    let step = prop_oneof![0..200_i64, 0..3000_i64, -2000..0_i64, 0..MAX_DURATION_MS.cast_signed()];
    let call = (step, proptest::collection::vec(take, 1..4), any::<bool>());
    (0..1000_usize, durations, proptest::collection::vec(call, 1..40))
}

#[test]
fn it_answers_as_memory_does_to_the_bit() {
    let redis = open(Redis::shared());
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&calls(), |(_, duration_ms, calls)| {
        let memory = Limiter::Memory(Memory::new(1000));
        let (workspace, key) = (WorkspaceId::generate(), KeyId::generate());
        let mut now = 1_800_000_000_000_u64;
        block_on(async {
            for (step, takes, refused_later) in calls {
                now = now.saturating_add_signed(step).min(1 << 44);
                let takes: Vec<_> = takes
                    .into_iter()
                    .map(|(name, limit, cost)| {
                        let counter = Counter::of_key(&workspace, &key, &name.to_string(), duration_ms);
                        Take { counter, limit, duration_ms, cost }
                    })
                    .collect();
                let (expected, found) =
                    (memory.take(now, &takes).await.unwrap(), redis.take(now, &takes).await.unwrap());
                assert_eq!(found, expected, "{takes:?} at {now}");
                if expected.passed && refused_later {
                    memory.give_back(now, &takes).await;
                    redis.give_back(now, &takes).await;
                }
            }
        });
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn two_servers_admit_exactly_the_limit_together() {
    let (one, two) = (serve(Redis::shared()), serve(Redis::shared()));
    let (name, at) = (unique("hot"), now(&one));
    let passed: usize = std::thread::scope(|scope| {
        let callers = (0..8).map(|caller| {
            let (server, name) = (if caller % 2 == 0 { &one } else { &two }, &name);
            scope.spawn(move || {
                block_on(async {
                    let mut passed = 0;
                    for _ in 0..100 {
                        let decision = server.app.limiter.take(at, &[token(name, 500)]).await.unwrap();
                        passed += usize::from(decision.passed);
                    }
                    passed
                })
            })
        });
        let callers: Vec<_> = callers.collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(passed, 500);
    assert_eq!((used(&one, &name), used(&two, &name)), (500, 500));
}

#[test]
fn several_limits_take_all_or_nothing_and_share_a_slot() {
    let server = serve(Redis::shared());
    let (free, spent) = (unique("free"), unique("spent"));
    assert!(!take(&server, &[token(&free, 10), token(&spent, 0)]).unwrap().passed);
    assert_eq!((used(&server, &free), used(&server, &spent)), (0, 0));
    assert!(take(&server, &[token(&free, 10), token(&spent, 1)]).unwrap().passed);
    block_on(server.app.limiter.give_back(now(&server), &[token(&free, 10)]));
    assert_eq!((used(&server, &free), used(&server, &spent)), (0, 1));
}

#[test]
fn counters_expire_by_themselves_and_are_together_by_workspace() {
    let redis = Redis::start();
    let server = serve(&redis);
    let short = Take { duration_ms: 1000, ..token("short", 10) };
    assert!(take(&server, &[short, token("long", 10)]).unwrap().passed);
    let keys: Vec<_> =
        redis.ask("KEYS *").lines().filter(|line| line.starts_with("keyward:")).map(ToOwned::to_owned).collect();
    assert_eq!(keys.len(), 2);
    let tag = |key: &str| key.split_once('{').unwrap().1.split_once('}').unwrap().0.to_owned();
    assert_eq!(tag(&keys[0]), tag(&keys[1]));
    let mut left: Vec<u64> =
        keys.iter().map(|key| redis.ask(&format!("PTTL {key}")).trim_start_matches(':').parse().unwrap()).collect();
    left.sort_unstable();
    assert!(left[0] > 10_000 && left[0] <= 12_000 && left[1] > LONG_MS && left[1] <= 2 * LONG_MS + 10_000, "{left:?}");
    assert!(!take(&server, &[token("long", 0)]).unwrap().passed);
    assert_eq!(redis.ask("DBSIZE"), ":2", "asking and refusing store nothing");
}

#[test]
fn a_flushed_script_is_loaded_again() {
    let redis = Redis::start();
    let server = serve(&redis);
    for count in 1..=3 {
        assert!(take(&server, &[token("one", 10)]).unwrap().passed);
        assert_eq!(used(&server, "one"), count);
        redis.ask("SCRIPT FLUSH SYNC");
    }
}

/// What a restart of Redis without persistence loses is lost: limits begin afresh.
#[test]
fn a_redis_that_is_killed_is_refused_at_once_and_works_again_when_it_is_back() {
    let mut redis = Redis::start();
    let server = serve(&redis);
    let client = Client::new(server.url());
    assert!(take(&server, &[token("one", 10)]).unwrap().passed);
    for round in 1..=2 {
        redis.kill();
        eventually("readiness warns", || {
            let check = client.get("/health/ready").body["checks"]["limiter"].clone();
            (check["status"] == "warning").then_some(())
        });
        let begun = Instant::now();
        for _ in 0..100 {
            assert!(take(&server, &[token("one", 10)]).is_err());
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "100 calls took {:?}", begun.elapsed());
        assert_eq!(client.get("/health/ready").status, 200, "it is a warning, round {round}");
        redis.restart();
        eventually("it counts again", || take(&server, &[token("one", 10)]).ok());
        assert_eq!(used(&server, "one"), 1);
    }
    eventually("errors are counted", || {
        let text = client.get("/metrics").text;
        let errors = text.lines().find_map(|line| line.strip_prefix("keyward_redis_errors_total "))?;
        (errors.parse::<u64>().unwrap() >= 200).then_some(())
    });
}

#[test]
fn a_redis_that_hangs_is_waited_for_once_and_then_refused_at_once() {
    let redis = Redis::start();
    let flags = format!("--redis-timeout-ms 300 --redis-url {}", redis.url());
    let server = Options::default().database(postgres::fresh_database()).flags(&flags).start();
    assert!(take(&server, &[token("one", 10)]).unwrap().passed);
    redis.signal(Signal::STOP);
    let begun = Instant::now();
    assert!(take(&server, &[token("one", 10)]).is_err());
    assert!(begun.elapsed() < Duration::from_millis(1000), "{:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(take(&server, &[token("one", 10)]).is_err());
    }
    assert!(begun.elapsed() < Duration::from_millis(1000), "100 calls took {:?}", begun.elapsed());
    redis.signal(Signal::CONT);
    let mut tries = 0;
    eventually("it counts again", || {
        tries += 1;
        take(&server, &[token("one", 10)]).ok()
    });
    // Calls that were given up on may have been counted, as calls without an answer may.
    assert!((2..=2 + tries).contains(&used(&server, "one")));
}

#[test]
fn a_server_begins_without_redis_and_finds_it_later() {
    let mut redis = Redis::start();
    redis.kill();
    let server = serve(&redis);
    assert!(take(&server, &[token("one", 10)]).is_err());
    redis.restart();
    eventually("it counts", || take(&server, &[token("one", 10)]).ok());
}

#[test]
fn a_node_whose_clock_lags_counts_in_the_window_that_another_has_begun() {
    let (ahead, behind) = (open(Redis::shared()), open(Redis::shared()));
    let name = unique("lag");
    let begin = 700 * LONG_MS;
    assert!(take_at(&ahead, begin, &[Take { cost: 3, ..token(&name, 4) }]).unwrap().passed);
    let late = take_at(&behind, begin - 500, &[token(&name, 4)]).unwrap();
    assert_eq!((late.passed, late.each[0].remaining, late.each[0].reset_ms), (true, 0, begin + LONG_MS));
    assert!(!take_at(&ahead, begin, &[token(&name, 4)]).unwrap().passed);
}
