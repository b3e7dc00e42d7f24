//! The black-box tests: the real server, a real Postgres, HTTP only. One file an operation; test names are promises.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(unreachable_pub, reason = "a test binary has no outside; `pub` tells what other modules of it use")]

mod harness;

mod analytics;
mod apis;
mod audit_logs;
mod authz;
mod cli;
mod codemap;
mod contract;
mod decisions;
mod dev;
mod docs;
mod edge;
mod envelope;
mod exact;
mod failures;
mod freshness;
mod health;
mod identities;
mod keys;
mod limiter;
mod logs;
mod migrations;
mod permissions;
mod probes;
mod ratelimit;
mod readme;
mod root_keys;
mod schema;
mod sdk;
mod stories;
mod tenancy;
mod truth;
