//! `apis.listKeys`.
