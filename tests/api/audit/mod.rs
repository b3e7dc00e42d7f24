//! The audit log: what it holds, how it is sealed, read and verified.

mod changes;
