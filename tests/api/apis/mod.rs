//! `apis.*`, one file an operation.

mod create_api;
mod delete_api;
mod get_api;
mod list_apis;
mod list_keys;
mod update_api;
