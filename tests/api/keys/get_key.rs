//! `keys.getKey`.
