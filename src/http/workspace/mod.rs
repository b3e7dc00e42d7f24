//! `workspace.*` on the wire.

mod get_limits;

pub use get_limits::get_limits;
