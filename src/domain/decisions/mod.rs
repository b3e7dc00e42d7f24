//! Decisions: what was decided, why, and what would be decided if something were otherwise.

pub mod history;
pub mod suppose;
