//! The binary `keyward`: its command line is [`keyward::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    keyward::cli::run(std::env::args_os())
}
