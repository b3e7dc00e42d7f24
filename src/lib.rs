//! Keyward: an API-key service.
pub mod app;
pub mod authz;
pub mod cli;
pub mod config;
pub mod domain;
pub mod http;
pub mod limiter;
pub mod metrics;
pub mod model;
pub mod server;
pub mod store;
