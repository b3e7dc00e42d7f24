//! `keyward completions`.

use crate::cli;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    ///
    /// # Errors
    /// stdout is gone.
    pub fn run(self, out: Out) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli::command(), "keyward", &mut script);
        out.raw(&String::from_utf8_lossy(&script))
    }
}
