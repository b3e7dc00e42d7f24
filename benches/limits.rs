//! Rate limits decided a second: in memory by threads, on Redis by concurrent callers. `cargo bench --bench limits`.
//! Redis is a private one, on a socket, and shares the machine with the callers.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark fails by panicking, and prints figures"
)]

use keyward::limiter::Counter;
use keyward::limiter::Limiter;
use keyward::limiter::Take;
use keyward::limiter::memory::Memory;
use keyward::limiter::redis::Redis;
use keyward::model::id::KeyId;
use keyward::model::id::WorkspaceId;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(700);
const NOW: u64 = 1_800_000_000_000;
/// Decisions between two looks at the clock.
const STRIDE: usize = 64;

fn takes(counters: usize) -> Vec<Take> {
    let (workspace, key) = (WorkspaceId::generate(), KeyId::generate());
    let take = |number: usize| {
        let counter = Counter::of_key(&workspace, &key, &number.to_string(), 60_000);
        Take { counter, limit: u64::MAX, duration_ms: 60_000, cost: 1 }
    };
    (0..counters).map(take).collect()
}

/// The median of the rounds, and the least and the greatest.
fn report(what: &str, mut round: impl FnMut() -> f64) {
    round();
    let mut rates: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    rates.sort_by(f64::total_cmp);
    let at = |index: usize| rates.get(index).copied().unwrap_or_default();
    println!("{what:<58} {:>12.0}/s   ({:.0}..{:.0})", at(ROUNDS / 2), at(0), at(ROUNDS - 1));
}

fn in_memory(threads: usize, counters: usize, limits: usize) {
    let memory = Memory::new(1_000_000);
    let all = takes(counters.max(limits));
    report(&format!("memory, {threads} threads, {counters} counters, {limits} limits a call"), || {
        let (done, begun) = (AtomicU64::new(0), Instant::now());
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (memory, all, done) = (&memory, &all, &done);
                scope.spawn(move || {
                    // Each walks through all counters from another place, in steps that share no divisor with their number.
                    let (mut place, mut count) = (thread * all.len() / threads, 0);
                    while begun.elapsed() < ROUND {
                        for _ in 0..STRIDE {
                            place = (place + 7919) % (all.len() - limits + 1);
                            assert!(memory.take(NOW, all.get(place..place + limits).unwrap()).unwrap().passed);
                            count += 1;
                        }
                    }
                    done.fetch_add(count, Ordering::Relaxed);
                });
            }
        });
        let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
        let _ = memory.take_changed(NOW);
        rate
    });
}

fn on_redis(url: &str, callers: usize, limits: usize) {
    let limiter = Arc::new(Limiter::Redis(Redis::open(url, Duration::from_secs(5)).unwrap()));
    let all = Arc::new(takes(10_000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    report(&format!("redis, {callers} callers, {limits} limits a call"), || {
        runtime.block_on(async {
            let begun = Instant::now();
            let tasks: Vec<_> = (0..callers)
                .map(|caller| {
                    let (limiter, all) = (Arc::clone(&limiter), Arc::clone(&all));
                    tokio::spawn(async move {
                        let (mut place, mut count) = (caller * 37, 0_u64);
                        while begun.elapsed() < ROUND {
                            place = (place + 7919) % (all.len() - limits);
                            let takes = all.get(place..place + limits).unwrap();
                            assert!(limiter.take(NOW, takes).await.unwrap().passed);
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            let mut done = 0;
            for task in tasks {
                done += task.await.unwrap();
            }
            done as f64 / begun.elapsed().as_secs_f64()
        })
    });
}

fn start_redis(folder: &Path) -> Option<(Child, String)> {
    let socket = folder.join("redis.sock");
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(&socket);
    let child = command.stdout(Stdio::null()).spawn().ok()?;
    Some((child, format!("redis+unix://{}", socket.display())))
}

fn main() {
    for (threads, counters, limits) in
        [(1, 1, 1), (2, 1, 1), (1, 100_000, 1), (2, 100_000, 1), (1, 100_000, 2), (2, 100_000, 2)]
    {
        in_memory(threads, counters, limits);
    }
    let folder = tempfile::tempdir().unwrap();
    let Some((mut redis, url)) = start_redis(folder.path()) else {
        println!("redis-server is not installed: nothing measured on Redis");
        return;
    };
    while keyward::limiter::redis::probe(&url, Duration::from_secs(1)).is_err() {
        std::thread::yield_now();
    }
    for (callers, limits) in [(1, 1), (64, 1), (64, 2), (256, 1), (256, 2)] {
        on_redis(&url, callers, limits);
    }
    redis.kill().unwrap();
    redis.wait().unwrap();
}
