//! `keys.whoami`.
