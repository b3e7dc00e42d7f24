//! What is answered when tokens cannot be counted (decisions.md #46).

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::postgres;
use crate::harness::server::Options;
use crate::ratelimit::ask;
use crate::ratelimit::ask_with;
use crate::ratelimit::namespace;
use crate::ratelimit::now_ms;
use crate::ratelimit::set_override;
use keyward::limiter::Counter;
use keyward::limiter::Take;
use serde_json::json;

/// A server whose limiter has no room for another counter.
fn full(decision: &str) -> Server {
    let flags = format!("--ratelimit-counters 1000 --ratelimit-on-error {decision}");
    // A database of its own: its counters are stored, and others would load them.
    let server = Options::default().database(postgres::fresh_database()).flags(&flags).start();
    let client = Client::new(server.url());
    eventually("counters are loaded", || (client.get("/health/ready").status == 200).then_some(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let now_ms = u64::try_from(now_ms(&server)).unwrap();
    let refused = (0..=u16::MAX).filter(|number| {
        let mut bytes = [0; 32];
        // Over all shards, wherever they look.
        bytes.fill(number.to_be_bytes()[1]);
        bytes[30..].copy_from_slice(&number.to_be_bytes());
        let take = Take { counter: Counter::from_bytes(bytes), limit: 1, duration_ms: 2_592_000_000, cost: 1 };
        runtime.block_on(server.app.limiter.take(now_ms, &[take])).is_err()
    });
    assert!(refused.count() > 60_000, "it has room for few");
    server
}

fn fallbacks(world: &World<'_>, decision: &str) -> u64 {
    let metrics = world.anonymous().get("/metrics").text;
    let line = format!("keyward_ratelimit_fallbacks_total{{decision=\"{decision}\"}} ");
    metrics.lines().find_map(|row| row.strip_prefix(&line)).unwrap().parse().unwrap()
}

#[test]
fn with_deny_nobody_passes() {
    let server = full("deny");
    let world = World::on(&server);
    namespace(&world, "n");
    assert_eq!((fallbacks(&world, "deny"), fallbacks(&world, "allow")), (0, 0), "asking for nothing needs no room");
    let before = now_ms(&server);
    let data = world.admin.ok("ratelimit.limit", ask("n", "a", 5));
    assert_eq!((&data["success"], &data["remaining"], &data["limit"]), (&json!(false), &json!(0), &json!(5)));
    let reset = data["reset"].as_i64().unwrap();
    assert!(reset > before && reset % super::MONTH_MS == 0);
    let data = world.admin.ok("ratelimit.multiLimit", json!([ask("n", "a", 5), ask("n", "b", 5)]));
    assert_eq!(data["passed"], false);
    assert!(data["limits"].as_array().unwrap().iter().all(|one| one["passed"] == false && one["remaining"] == 0));
    assert_eq!((fallbacks(&world, "deny"), fallbacks(&world, "allow")), (2, 0));
}

#[test]
fn with_allow_everybody_passes_who_could_ever_pass() {
    let server = full("allow");
    let world = World::on(&server);
    namespace(&world, "n");
    set_override(&world, "n", "banned", 0);
    for _ in 0..3 {
        let data = world.admin.ok("ratelimit.limit", ask("n", "a", 1));
        assert_eq!((&data["success"], &data["remaining"]), (&json!(true), &json!(0)));
    }
    for body in [ask("n", "banned", 5), ask_with(ask("n", "a", 5), json!({"cost": 6}))] {
        assert_eq!(world.admin.ok("ratelimit.limit", body.clone())["success"], false, "{body}");
    }
    let data = world.admin.ok("ratelimit.multiLimit", json!([ask("n", "a", 5), ask("n", "banned", 5)]));
    assert_eq!((&data["passed"], &data["limits"][0]["passed"]), (&json!(false), &json!(true)));
    // A denial that needs no counter needs no room either.
    assert_eq!((fallbacks(&world, "deny"), fallbacks(&world, "allow")), (0, 3));
}
