//! Unkey's official SDK against this server.
