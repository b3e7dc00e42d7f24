//! What the server logs, and what it never does.
