//! What monitoring and people ask of a running server: probes, metrics, version, documentation.
