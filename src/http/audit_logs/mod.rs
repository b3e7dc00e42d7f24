//! `auditLogs.*` on the wire.

mod list_events;

pub use list_events::list_events;
