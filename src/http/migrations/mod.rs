//! `migrations.*` on the wire.

mod create;

pub use create::create_migration;
