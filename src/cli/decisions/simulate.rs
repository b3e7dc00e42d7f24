//! `keyward simulate`.
