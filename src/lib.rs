//! Keyward: an API-key service.
pub mod model;
