//! The limiter: in memory and on Redis, over restarts, with other nodes.

mod nodes;
mod redis;
mod restart;

use crate::harness::Server;
use keyward::limiter::Counter;
use keyward::limiter::Decision;
use keyward::limiter::Limiter;
use keyward::limiter::Take;
use keyward::limiter::Unavailable;
use keyward::model::id::KeyId;
use keyward::model::id::WorkspaceId;

/// Windows that no test lives to see the end of.
const LONG_MS: u64 = 2_592_000_000;

/// One token of a limit, by name; equal names are one counter.
fn token(name: &str, limit: u64) -> Take {
    let (workspace, key) = (WorkspaceId::from_text("ws_1"), KeyId::from_text("key_1"));
    Take { counter: Counter::of_key(&workspace, &key, name, LONG_MS), limit, duration_ms: LONG_MS, cost: 1 }
}

/// A name that no other test uses.
fn unique(name: &str) -> String {
    format!("{name} {}", KeyId::generate())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn take_at(limiter: &Limiter, now_ms: u64, takes: &[Take]) -> Result<Decision, Unavailable> {
    block_on(limiter.take(now_ms, takes))
}

fn now(server: &Server) -> u64 {
    u64::try_from(server.clock.now().timestamp_millis()).unwrap()
}

/// Takes by the server's clock.
fn take(server: &Server, takes: &[Take]) -> Result<Decision, Unavailable> {
    take_at(&server.app.limiter, now(server), takes)
}

/// Tokens that are used of one name.
fn used(server: &Server, name: &str) -> u64 {
    let asked = take(server, &[Take { cost: 0, ..token(name, 1_000_000) }]).unwrap();
    1_000_000 - asked.each[0].remaining
}
