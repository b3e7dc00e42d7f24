//! What Keyward is about: ids, records, secrets, the clock, error codes. No queries, no HTTP.

pub mod address;
pub mod api;
pub mod audit;
pub mod change;
pub mod clock;
pub mod code;
pub mod credits;
pub mod decision;
pub mod error;
pub mod id;
pub mod identity;
pub mod key;
pub mod master_key;
pub mod meta;
pub mod migration;
pub mod origin;
pub mod page;
pub mod permission;
pub mod rate_limit;
pub mod root_key;
pub mod schema;
pub mod secret;
pub mod usage;
pub mod verdict;
pub mod verification;
pub mod workspace;
