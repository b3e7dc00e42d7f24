//! `keys.rerollKey`.
