//! What needs a server of its own: how long it takes to start, and what an entry of its cache weighs.

use crate::Fault;
use crate::load;
use crate::load::Keys;
use crate::load::Load;
use crate::process;
use crate::stage;
use crate::stage::Stage;
use std::time::Duration;
use std::time::Instant;

/// Memory before and after many keys were verified once each.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Keys.
    pub keys: u64,
    /// Resident bytes of a server that has verified one key often.
    pub before: u64,
    /// Resident bytes after that.
    pub after: u64,
    /// Whether the server has a cache whose size can be set; without one there is no entry to be weighed.
    pub cached: bool,
}

impl Memory {
    /// Bytes per key.
    pub fn per_key(&self) -> f64 {
        (self.after as f64 - self.before as f64) / self.keys as f64
    }
}

/// Times from the start of the process to the first 200 of `/health/ready`, sorted.
pub fn starts(stage: &Stage) -> Result<Vec<Duration>, Fault> {
    let mut times = Vec::new();
    for _ in 0..stage.options.starts() {
        let begun = Instant::now();
        let server = stage.serve(&[])?;
        times.push(begun.elapsed());
        drop(server);
    }
    times.sort();
    Ok(times)
}

/// Weighs an entry.
pub fn memory(stage: &Stage) -> Result<Memory, Fault> {
    let keys = stage.options.memory_keys();
    let server = stage.serve(&[("KEYWARD_CACHE_ENTRIES", &(2 * keys).to_string())])?;
    let load = Load {
        address: server.address,
        pid: server.pid(),
        database_pid: stage.database_pid(),
        question: stage.verification(""),
        keys: Keys::new(stage::HOT.first, 1),
        others: None,
        each_once: false,
        connections: stage.options.connections,
        rate: None,
        warm_up: Duration::from_millis(100),
        measured: Duration::from_secs(2),
    };
    load::measure(&load, &stage.cores.load)?;
    let before = process::resident_bytes(server.pid());
    let found = load::measure(&Load { keys: Keys::new(0, keys), each_once: true, ..load }, &stage.cores.load)?;
    if found.valid != keys {
        return Err(format!("{} of {keys} keys were found valid", found.valid).into());
    }
    // What is written behind the requests is written by then.
    process::wait(Duration::from_millis(2_500));
    let after = process::resident_bytes(server.pid());
    Ok(Memory { keys, before, after, cached: stage.knows("KEYWARD_CACHE_ENTRIES") })
}
