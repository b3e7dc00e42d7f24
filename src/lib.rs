//! Keyward: an API-key service.
pub mod cli;
pub mod model;
