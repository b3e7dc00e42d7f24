//! `decisions.*`, one file an operation.

mod simulate;
