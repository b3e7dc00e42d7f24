//! Who may do what: actions, grants, the caller and its permits. Pure: no database, no HTTP.

pub mod action;
pub mod caller;
pub mod ceiling;
pub mod expression;
pub mod grants;
pub mod preset;
