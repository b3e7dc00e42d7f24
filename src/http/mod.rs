//! The wire: actix, JSON shapes, the documentation that the server serves about itself.
pub mod docs;
