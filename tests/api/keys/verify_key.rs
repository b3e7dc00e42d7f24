//! `keys.verifyKey`.
