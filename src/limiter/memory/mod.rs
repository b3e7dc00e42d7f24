//! Counters in memory: sharded, bounded, all or nothing over several. What still counts is never forgotten.
#![deny(clippy::arithmetic_side_effects)]

use crate::limiter::Counter;
use crate::limiter::Decision;
use crate::limiter::Take;
use crate::limiter::Taken;
use crate::limiter::Unavailable;
use crate::limiter::window::Window;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Parts that are locked apart from each other.
const SHARDS: usize = 64;
/// Parts that one sweep goes through: a whole round takes eight sweeps.
const SWEPT: usize = 8;
/// A shard gives memory back when it uses less than one part in this many.
const SPARSE: usize = 4;

/// All counters of this process.
#[derive(Debug)]
pub struct Memory {
    shards: Vec<Mutex<Shard>>,
    most_per_shard: usize,
    loaded: AtomicBool,
    next_sweep: AtomicU64,
    evicted: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    windows: HashMap<Counter, Kept>,
    /// Counters that have changed since they were last taken to be stored; some may be gone.
    changed: Vec<Counter>,
    /// Nothing of it can be evicted before this, Unix milliseconds: a full shard is not searched again and again.
    full_until_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    window: Window,
    duration_ms: u64,
    changed: bool,
}

/// A counter as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which.
    pub counter: Counter,
    /// Length of its window, milliseconds.
    pub duration_ms: u64,
    /// What it has counted.
    pub window: Window,
}

/// Shards that a call has locked, by number.
type Locked<'a> = Vec<(usize, MutexGuard<'a, Shard>)>;

impl Memory {
    /// Keeps `most` counters, about: each of the 64 parts keeps its share.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most_per_shard: most.div_ceil(SHARDS).max(1),
            loaded: AtomicBool::new(true),
            next_sweep: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// The same, which decides nothing before [`Self::opened`]: what was counted before the start has to be loaded first.
    #[must_use]
    pub fn closed(most: usize) -> Self {
        Self { loaded: AtomicBool::new(false), ..Self::new(most) }
    }

    /// Everything is loaded: it decides from now on.
    pub fn opened(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    /// Whether it decides.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Takes all of these or none.
    ///
    /// # Errors
    /// There is no room for another counter, or the stored ones are not loaded yet. Nothing was taken.
    pub fn take(&self, now_ms: u64, takes: &[Take]) -> Result<Decision, Unavailable> {
        if !self.is_open() {
            return Err(Unavailable("what was counted before the start is not loaded yet".into()));
        }
        let mut shards = self.lock(takes);
        let mut each = Vec::with_capacity(takes.len());
        // What was there before, to be put back unless all pass. The locks keep others from seeing what is in between.
        let mut before: Vec<(Counter, Option<Kept>)> = Vec::with_capacity(takes.len());
        for take in takes {
            let Some(shard) = shard_in(&mut shards, &take.counter) else { continue };
            let kept = shard.windows.get(&take.counter).copied();
            let window = kept.map(|kept| kept.window).unwrap_or_default();
            let reading = window.read(now_ms, take.duration_ms);
            let taken = Taken::new(&reading, take.limit, take.cost);
            each.push(taken);
            if taken.passed && take.cost > 0 {
                let changed = kept.is_some_and(|kept| kept.changed);
                let window = reading.taking(take.cost);
                shard.windows.insert(take.counter, Kept { window, duration_ms: take.duration_ms, changed });
                before.push((take.counter, kept));
            }
        }
        let passed = each.iter().all(|taken| taken.passed);
        let mut new = before.iter().filter(|(_, kept)| kept.is_none());
        let fits = passed
            && new
                .all(|(counter, _)| shard_in(&mut shards, counter).is_some_and(|shard| self.make_room(shard, now_ms)));
        if !fits {
            for (counter, kept) in before.into_iter().rev() {
                let Some(shard) = shard_in(&mut shards, &counter) else { continue };
                match kept {
                    Some(kept) => shard.windows.insert(counter, kept),
                    None => shard.windows.remove(&counter),
                };
            }
            if passed {
                return Err(Unavailable("there is no room for another rate-limit counter".into()));
            }
            return Ok(Decision { passed, each });
        }
        for (counter, _) in &before {
            if let Some(shard) = shard_in(&mut shards, counter) {
                shard.has_changed(*counter);
            }
        }
        Ok(Decision { passed, each })
    }

    /// Gives back what was taken at `taken_ms`.
    pub fn give_back(&self, taken_ms: u64, takes: &[Take]) {
        let mut shards = self.lock(takes);
        for take in takes {
            let Some(shard) = shard_in(&mut shards, &take.counter) else { continue };
            if let Some(kept) = shard.windows.get_mut(&take.counter) {
                kept.window = kept.window.given_back(taken_ms, take.duration_ms, take.cost);
                shard.has_changed(take.counter);
            }
        }
    }

    /// Forgets what does not count any more in the next few of the shards.
    pub fn sweep(&self, now_ms: u64) {
        for _ in 0..SWEPT {
            let next = self.next_sweep.fetch_add(1, Ordering::Relaxed);
            let index = usize::try_from(next).unwrap_or(0).checked_rem(SHARDS).unwrap_or(0);
            if let Some(shard) = self.shards.get(index) {
                let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                self.evict(&mut shard, now_ms);
                if shard.windows.len() < shard.windows.capacity().checked_div(SPARSE).unwrap_or(0) {
                    shard.windows.shrink_to_fit();
                }
            }
        }
    }

    /// Counters that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.each_shard().map(|shard| shard.windows.len()).fold(0, usize::saturating_add)
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counters that were ever forgotten since nothing of them counted any more.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Takes the counters that have changed since this was last asked, as far as they still count.
    #[must_use]
    pub fn take_changed(&self, now_ms: u64) -> Vec<Stored> {
        let mut all = Vec::new();
        for mut shard in self.each_shard() {
            for counter in std::mem::take(&mut shard.changed) {
                let Some(kept) = shard.windows.get_mut(&counter).filter(|kept| kept.changed) else { continue };
                kept.changed = false;
                if !kept.window.is_idle(now_ms, kept.duration_ms) {
                    all.push(Stored { counter, duration_ms: kept.duration_ms, window: kept.window });
                }
            }
        }
        all
    }

    /// These could not be stored: they are taken again the next time, with what is counted then.
    pub fn put_back(&self, stored: &[Stored]) {
        for counter in stored.iter().map(|stored| stored.counter) {
            if let Some(mut shard) = self.shard(shard_of(&counter)) {
                shard.has_changed(counter);
            }
        }
    }

    /// Takes counters in that were stored, also beyond the bound: none is forgotten that still counts. What is known already
    /// and is further stays.
    pub fn restore(&self, stored: &[Stored]) {
        for Stored { counter, duration_ms, window } in stored {
            let Some(mut guard) = self.shard(shard_of(counter)) else { continue };
            let shard = &mut *guard;
            let kept = Kept { window: *window, duration_ms: *duration_ms, changed: false };
            match shard.windows.entry(*counter) {
                Entry::Vacant(vacant) => {
                    vacant.insert(kept);
                    shard.full_until_ms = 0;
                }
                Entry::Occupied(mut known) => {
                    let (old, new) = (known.get().window, *window);
                    if (new.sequence, new.current, new.previous) > (old.sequence, old.current, old.previous) {
                        known.insert(kept);
                    }
                }
            }
        }
    }

    /// Whether the shard keeps its bound, after forgetting what does not count any more.
    fn make_room(&self, shard: &mut Shard, now_ms: u64) -> bool {
        if shard.windows.len() > self.most_per_shard && now_ms >= shard.full_until_ms {
            self.evict(shard, now_ms);
        }
        shard.windows.len() <= self.most_per_shard
    }

    fn evict(&self, shard: &mut Shard, now_ms: u64) {
        let (before, mut soonest) = (shard.windows.len(), u64::MAX);
        shard.windows.retain(|_, kept| {
            let worthless = kept.window.worthless_ms(kept.duration_ms);
            soonest = soonest.min(if worthless > now_ms { worthless } else { u64::MAX });
            worthless > now_ms
        });
        let gone = before.saturating_sub(shard.windows.len());
        self.evicted.fetch_add(u64::try_from(gone).unwrap_or(0), Ordering::Relaxed);
        shard.full_until_ms = soonest;
    }

    /// Locks the shards of all takes, in one order for all calls: no deadlock.
    fn lock(&self, takes: &[Take]) -> Locked<'_> {
        let mut wanted: Vec<_> = takes.iter().map(|take| shard_of(&take.counter)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.into_iter().filter_map(|index| Some((index, self.shard(index)?))).collect()
    }

    fn shard(&self, index: usize) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(index).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn each_shard(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    fn has_changed(&mut self, counter: Counter) {
        if let Some(kept) = self.windows.get_mut(&counter).filter(|kept| !kept.changed) {
            kept.changed = true;
            self.full_until_ms = self.full_until_ms.min(kept.window.worthless_ms(kept.duration_ms));
            self.changed.push(counter);
        }
    }
}

fn shard_in<'l>(shards: &'l mut Locked<'_>, counter: &Counter) -> Option<&'l mut Shard> {
    let wanted = shard_of(counter);
    shards.iter_mut().find(|(index, _)| *index == wanted).map(|(_, shard)| &mut **shard)
}

fn shard_of(counter: &Counter) -> usize {
    let [.., last] = counter.as_bytes();
    usize::from(*last).checked_rem(SHARDS).unwrap_or(0)
}

#[cfg(test)]
mod tests;
