//! What can be asked of a run: how long, which parts, and with which settings of the server.

use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Measure what verifications cost over HTTP, next to a bare handler
#[derive(Clone, Debug, Parser)]
#[command(name = "make bench", max_term_width = 110)]
pub struct Options {
    /// Two minutes instead of ten: shorter, fewer rounds, fewer keys, and so more noise
    #[arg(long)]
    quick: bool,
    /// Only what has this text in its name, like `warm`, `cold`, `growth`, `memory`, `start`, `lag`; repeat for several
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Rounds, each of which measures everything once
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each measurement takes, seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// Client connections
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Keys that are stored
    #[arg(long)]
    keys: Option<u64>,
    /// Write the result into docs/performance.md
    #[arg(long)]
    pub write: bool,
    /// Fail when a bar is missed
    #[arg(long)]
    pub strict: bool,
    /// A setting of the servers under test, like KEYWARD_LOG=warn; repeat for several
    #[arg(long, value_name = "NAME=VALUE")]
    pub setting: Vec<String>,
    /// Where the servers' log goes; without it, it is written and thrown away
    #[arg(long, value_name = "FILE")]
    pub log_to: Option<PathBuf>,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether something of this name is to be measured.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| name.contains(text.as_str()))
    }

    /// Rounds of the main table.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 9 }).max(1)
    }

    /// Rounds of the tables of growth.
    pub fn growth_rounds(&self) -> usize {
        self.rounds().div_ceil(3)
    }

    /// Length of one measurement.
    pub fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.quick { 0.5 } else { 1.5 }).clamp(0.1, 60.0))
    }

    /// What precedes each measurement, unmeasured.
    pub fn warm_up(&self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 300 })
    }

    /// Stored keys, once all are stored.
    pub fn keys(&self) -> u64 {
        self.keys.unwrap_or(if self.quick { 100_000 } else { 1_000_000 }).clamp(10_000, 100_000_000)
    }

    /// Keys that fill the memory of the server.
    pub fn memory_keys(&self) -> u64 {
        if self.quick { 10_000 } else { self.keys().min(100_000) }
    }

    /// Revocations of each kind.
    pub fn revocations(&self) -> u64 {
        if self.quick { 100 } else { 300 }
    }

    /// Starts of the server.
    pub fn starts(&self) -> usize {
        if self.quick { 5 } else { 10 }
    }
}
