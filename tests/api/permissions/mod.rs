//! `permissions.*`, one file an operation.
