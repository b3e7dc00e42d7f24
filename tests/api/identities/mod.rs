//! `identities.*`, one file an operation.
