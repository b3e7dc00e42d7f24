//! `keys.deleteKey`.
