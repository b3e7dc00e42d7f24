//! `migrations.*` and what was imported.
