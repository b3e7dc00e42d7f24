//! Rate-limit arithmetic. No Postgres, no HTTP.

pub mod edge;
