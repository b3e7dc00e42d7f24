//! Counters in memory: sharded, bounded, all or nothing over several.
#![deny(clippy::arithmetic_side_effects)]

use crate::limiter::Counter;
use crate::limiter::Decision;
use crate::limiter::Take;
use crate::limiter::Taken;
use crate::limiter::Unavailable;
use crate::limiter::window::Window;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Parts that are locked apart from each other.
const SHARDS: usize = 64;

/// All counters of this process.
#[derive(Debug)]
pub struct Memory {
    shards: Vec<Mutex<Shard>>,
    most_per_shard: usize,
}

#[derive(Debug, Default)]
struct Shard {
    windows: HashMap<Counter, Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    window: Window,
    duration_ms: u64,
}

impl Memory {
    /// Keeps `most` counters, about.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, most_per_shard: most.div_ceil(SHARDS).max(1) }
    }

    /// Takes all of these or none.
    ///
    /// # Errors
    /// There is no room for another counter: none is forgotten that still counts.
    pub fn take(&self, now_ms: u64, takes: &[Take]) -> Result<Decision, Unavailable> {
        let mut shards = self.lock(takes);
        let mut pending: HashMap<Counter, Window> = HashMap::with_capacity(takes.len());
        let mut each = Vec::with_capacity(takes.len());
        for take in takes {
            let known = shards.get(&shard_of(&take.counter)).and_then(|shard| shard.windows.get(&take.counter));
            let window = pending.get(&take.counter).copied().or_else(|| known.map(|kept| kept.window));
            let reading = window.unwrap_or_default().read(now_ms, take.duration_ms);
            let taken = Taken::new(&reading, take.limit, take.cost);
            let current = reading.window.current.saturating_add(if taken.passed { take.cost } else { 0 });
            pending.insert(take.counter, Window { current, ..reading.window });
            each.push(taken);
        }
        let passed = each.iter().all(|taken| taken.passed);
        if passed {
            for take in takes.iter().filter(|take| take.cost > 0) {
                let Some(shard) = shards.get_mut(&shard_of(&take.counter)) else { continue };
                if shard.windows.len() >= self.most_per_shard && !shard.windows.contains_key(&take.counter) {
                    shard.windows.retain(|_, kept| !kept.window.is_idle(now_ms, kept.duration_ms));
                    if shard.windows.len() >= self.most_per_shard {
                        return Err(Unavailable("there is no room for another rate-limit counter".into()));
                    }
                }
                if let Some(window) = pending.get(&take.counter) {
                    shard.windows.insert(take.counter, Kept { window: *window, duration_ms: take.duration_ms });
                }
            }
        }
        Ok(Decision { passed, each })
    }

    /// Gives back what was taken.
    pub fn give_back(&self, now_ms: u64, takes: &[Take]) {
        let mut shards = self.lock(takes);
        for take in takes {
            let Some(kept) =
                shards.get_mut(&shard_of(&take.counter)).and_then(|shard| shard.windows.get_mut(&take.counter))
            else {
                continue;
            };
            let window = kept.window.read(now_ms, kept.duration_ms).window;
            kept.window = Window { current: window.current.saturating_sub(take.cost), ..window };
        }
    }

    /// Locks the shards of all takes, in one order for all calls: no deadlock.
    fn lock(&self, takes: &[Take]) -> BTreeMap<usize, MutexGuard<'_, Shard>> {
        let wanted: std::collections::BTreeSet<_> = takes.iter().map(|take| shard_of(&take.counter)).collect();
        let guards = wanted.into_iter().filter_map(|index| {
            let shard = self.shards.get(index)?;
            Some((index, shard.lock().unwrap_or_else(PoisonError::into_inner)))
        });
        guards.collect()
    }
}

fn shard_of(counter: &Counter) -> usize {
    let [first, ..] = counter.as_bytes();
    usize::from(*first) % SHARDS
}
