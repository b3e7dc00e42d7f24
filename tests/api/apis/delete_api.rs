//! `apis.deleteApi`.
