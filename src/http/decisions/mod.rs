//! `decisions.*` on the wire.

mod simulate;

pub use simulate::simulate;
