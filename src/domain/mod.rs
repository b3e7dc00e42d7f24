//! What the product does, in the API's nouns. No HTTP, no JSON of the API, no status codes.

pub mod apis;
pub mod audit_log;
pub mod counters;
pub mod decisions;
pub mod events;
pub mod identities;
pub mod keys;
pub mod last_used;
pub mod master_keys;
pub mod migrations;
pub mod nodes;
pub mod permissions;
pub mod rate_limits;
pub mod ratelimit;
pub mod roles;
pub mod root_keys;
pub mod usage;
pub mod verify;
pub mod workspaces;
