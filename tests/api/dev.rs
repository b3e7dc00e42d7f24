//! `keyward dev`: the first minutes.
