//! `keys.updateKey`.
