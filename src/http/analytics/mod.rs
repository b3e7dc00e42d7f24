//! `analytics.*` on the wire.

mod get_usage;

pub use get_usage::get_usage;
