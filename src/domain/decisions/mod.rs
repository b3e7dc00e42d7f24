//! Decisions: every denial as a record that explains itself (decisions.md "Additions").

pub mod describe;
pub mod history;
mod remedy;
pub mod suppose;
