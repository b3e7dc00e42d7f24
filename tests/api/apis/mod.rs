//! `apis.*`, one file an operation.

mod create_api;
