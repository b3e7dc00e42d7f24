//! What Keyward is about: ids, records, secrets, the clock, error codes. No queries, no HTTP.

pub mod code;
pub mod error;
