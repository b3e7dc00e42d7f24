//! Faults: the database away and back, signals under load, nodes that start together.
