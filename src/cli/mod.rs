//! The command line, and the private Postgres of `keyward dev`.
pub mod postgres;
