//! `make bench`: what a verification costs over HTTP, next to a bare handler, and how long a revoked key still passes.
//!
//! Everything is measured from outside: the `keyward serve` that is shipped, a Postgres of its own with fsync on, a client in
//! a process of its own. This program takes four roles, each a process: `run` conducts, `load` is the client, `floor` is what
//! Keyward is compared with, and the one that was started looks after them and cleans up, however they end.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::as_conversions,
    reason = "a program that prints figures, and computes them as floating point"
)]
#![expect(unreachable_pub, reason = "a program has no outside; `pub` tells what other modules of it use")]

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod growth;
#[cfg(target_os = "linux")]
mod lag;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod single;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod wire;

use std::process::ExitCode;

/// What can go wrong here: a sentence for whoever started it.
pub type Fault = Box<dyn std::error::Error>;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let role = arguments.first().map(String::as_str).unwrap_or_default();
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match role {
        process::RUN => run::run(rest),
        process::LOAD => load::run(),
        process::FLOOR => floor::run(rest),
        process::PINNED => process::become_pinned(rest),
        _ => process::look_after(&arguments),
    };
    result.unwrap_or_else(|fault| {
        eprintln!("bench: {fault}");
        ExitCode::FAILURE
    })
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("bench: needs Linux, for CPU times from /proc and for pinning processes to cores");
    ExitCode::FAILURE
}
