//! `apis.listApis`.
