//! Recoverable keys: sealed, shown again to whoever may, and to nobody else.
