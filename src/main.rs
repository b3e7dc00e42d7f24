//! The binary `keyward`: its command line is [`keyward::cli`].

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A verification allocates a few dozen times, on a thread of its own: less than half of what the system's allocator takes for it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    keyward::cli::run(std::env::args_os())
}
