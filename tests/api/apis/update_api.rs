//! `apis.updateApi`.
