//! Decisions: every denial as a record that explains itself (decisions.md "Additions").

pub mod class;
pub mod describe;
pub mod record;
mod remedy;
mod write;
