//! `keyward openapi`.

use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::http::docs;

/// Prints the OpenAPI document: YAML, or JSON with `--json`.
///
/// # Errors
/// stdout is gone.
pub fn run(out: Out) -> Result<(), Failure> {
    out.raw(if out.json { docs::openapi_json() } else { docs::openapi_yaml() })
}
