//! `keys.*`, one file an operation.

mod create_key;
mod delete_key;
mod get_key;
mod migrate_keys;
mod recoverable;
mod reroll_key;
mod update_key;
mod verify_key;
mod whoami;
