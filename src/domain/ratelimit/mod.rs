//! Rate limits of any identifiers, in namespaces (contract/ratelimit.md, decisions.md #40 to #46).

pub mod limit;
pub mod namespaces;
pub mod overrides;
