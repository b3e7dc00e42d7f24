//! `keys.*`, one file an operation.

mod create_key;
