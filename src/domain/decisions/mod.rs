//! Decisions: every denial as a record that explains itself (decisions.md "Additions").

pub mod describe;
mod remedy;
