//! Decisions: every denial as a record that explains itself (decisions.md "Additions").

pub mod class;
pub mod describe;
pub mod explain;
pub mod foresee;
pub mod history;
pub mod list;
pub mod past;
pub mod record;
mod remedy;
pub mod replay;
pub mod simulate;
pub mod suppose;
pub mod tell;
pub(in crate::domain) mod write;
