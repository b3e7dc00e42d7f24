//! Decisions: every denial as a record that explains itself (decisions.md "Additions").

pub mod describe;
pub mod foresee;
pub mod history;
pub mod past;
mod remedy;
pub mod replay;
pub mod simulate;
pub mod suppose;
pub mod tell;
