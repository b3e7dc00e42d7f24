//! Everything that is asked of Postgres. The only queries in the crate.

pub mod access;
pub mod apis;
pub mod audit_log;
pub mod changes;
pub mod conflict;
pub mod counters;
pub mod credits;
pub mod database;
pub mod health;
pub mod identities;
pub mod imports;
pub mod keys;
pub mod ledger;
pub mod links;
pub mod migrations;
pub mod namespaces;
pub mod nodes;
pub mod overrides;
pub mod permissions;
mod pool;
pub mod rate_limits;
pub mod roles;
pub mod root_keys;
pub mod sealed_keys;
pub mod snapshot;
pub mod tx;
pub mod workspaces;
