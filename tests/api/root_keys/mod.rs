//! `rootKeys.*` and `workspace.*`, one file an operation.
