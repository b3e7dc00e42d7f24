//! Everything that is asked of Postgres. The only queries in the crate.

pub mod access;
pub mod apis;
pub mod audit_log;
pub mod changes;
pub mod conflict;
pub mod database;
pub mod events;
pub mod health;
pub mod identities;
pub mod imports;
pub mod keys;
pub mod ledger;
pub mod links;
pub mod migrations;
pub mod partitions;
pub mod permissions;
mod pool;
pub mod roles;
pub mod root_keys;
pub mod sealed_keys;
pub mod snapshot;
pub mod tx;
pub mod usage;
pub mod workspaces;
