//! `keys.*`, one file an operation.

mod access;
mod create_key;
mod credits;
mod delete_key;
mod get_key;
mod migrate_keys;
mod owner;
mod permissions;
pub mod rate_limits;
mod recoverable;
mod reroll_key;
mod roles;
mod update_credits;
mod update_key;
mod verify_explain;
mod verify_key;
mod verify_limits;
mod whoami;
