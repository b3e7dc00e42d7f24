//! `apis.getApi`.
