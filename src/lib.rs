//! Keyward: an API-key service.
pub mod http;
pub mod model;
