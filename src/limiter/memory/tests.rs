//! All or nothing, the bound, eviction, and what is handed over to be stored.
#![expect(clippy::arithmetic_side_effects, reason = "tests fail by panicking")]

use super::Memory;
use super::SHARDS;
use super::SWEPT;
use super::Stored;
use crate::limiter::Counter;
use crate::limiter::Take;
use crate::limiter::window::Window;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

const NOW: u64 = 1_800_000_000_000;

/// Counters of one shard, which a small memory fills quickly.
fn counter(number: u8) -> Counter {
    let mut bytes = [0; 32];
    bytes[10] = number;
    Counter::from_bytes(bytes)
}

fn take(number: u8, limit: u64, cost: u64) -> Take {
    Take { counter: counter(number), limit, duration_ms: 1000, cost }
}

fn used(memory: &Memory, now: u64, number: u8) -> u64 {
    1_000_000 - memory.take(now, &[take(number, 1_000_000, 0)]).unwrap().each[0].remaining
}

#[test]
fn a_limit_admits_exactly_its_tokens() {
    let memory = Memory::new(1000);
    let remaining: Vec<_> = (0..3).map(|_| memory.take(NOW, &[take(1, 3, 1)]).unwrap().each[0].remaining).collect();
    assert_eq!(remaining, [2, 1, 0]);
    let refused = memory.take(NOW, &[take(1, 3, 1)]).unwrap();
    assert_eq!((refused.passed, refused.each[0].remaining, refused.each[0].reset_ms), (false, 0, NOW + 1000));
    assert!(memory.take(NOW, &[take(1, 3, 0)]).unwrap().passed, "asking costs nothing");
}

#[test]
fn several_limits_take_all_or_nothing() {
    let memory = Memory::new(100_000);
    let others = [take(2, 10, 3), take(3, 10, 3), take(4, 2, 3)];
    for _ in 0..2 {
        let decision = memory.take(NOW, &others).unwrap();
        assert!(!decision.passed && memory.is_empty());
        assert_eq!(decision.each.iter().map(|taken| taken.passed).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(decision.each.iter().map(|taken| taken.untouched).collect::<Vec<_>>(), [10, 10, 0]);
    }
    assert!(memory.take(NOW, &others[..2]).unwrap().passed);
    assert!(!memory.take(NOW, &others).unwrap().passed);
    assert_eq!((used(&memory, NOW, 2), used(&memory, NOW, 3), used(&memory, NOW, 4)), (3, 3, 0));
}

#[test]
fn takes_of_one_counter_add_up_within_a_call() {
    let memory = Memory::new(1000);
    let decision = memory.take(NOW, &[take(1, 1, 1), take(1, 1, 1)]).unwrap();
    assert_eq!((decision.passed, decision.each[0].passed, decision.each[1].passed), (false, true, false));
    assert_eq!(used(&memory, NOW, 1), 0);
    assert!(memory.take(NOW, &[take(1, 2, 1), take(1, 2, 1)]).unwrap().passed);
    assert_eq!(used(&memory, NOW, 1), 2);
}

#[test]
fn a_call_without_room_takes_nothing_and_what_counts_is_kept() {
    let memory = Memory::new(1);
    assert!(memory.take(NOW, &[take(1, 9, 4)]).unwrap().passed);
    assert!(memory.take(NOW, &[take(1, 9, 1), take(2, 9, 1)]).is_err());
    assert_eq!((used(&memory, NOW, 1), memory.len()), (4, 1));
    assert!(memory.take(NOW, &[take(2, 9, 0)]).unwrap().passed, "asking needs no room");
    assert!(!memory.take(NOW, &[take(2, 9, 1), take(3, 0, 1)]).unwrap().passed, "nor does being refused");
    assert!(memory.take(NOW + 1999, &[take(2, 9, 1)]).is_err(), "it still counts");
    assert!(memory.take(NOW + 2000, &[take(2, 9, 1)]).unwrap().passed, "it counts no more");
    assert_eq!((memory.len(), memory.evicted()), (1, 1));
}

#[test]
fn a_full_shard_evicts_short_windows_that_came_after_long_ones() {
    let memory = Memory::new(2 * SHARDS);
    assert!(memory.take(NOW, &[Take { duration_ms: 3_600_000, ..take(1, 9, 1) }]).unwrap().passed);
    assert!(memory.take(NOW, &[take(2, 9, 1)]).unwrap().passed);
    assert!(memory.take(NOW, &[take(3, 9, 1)]).is_err());
    assert!(memory.take(NOW + 2000, &[take(3, 9, 1)]).unwrap().passed);
    assert!(memory.take(NOW + 4000, &[take(4, 9, 1)]).unwrap().passed);
    assert_eq!((memory.len(), memory.evicted()), (2, 2));
}

#[test]
fn sweeping_forgets_only_what_counts_no_more() {
    let memory = Memory::new(100_000);
    for number in 0..100 {
        memory.take(NOW + u64::from(number % 2) * 5000, &[take(number, 9, 1)]).unwrap();
    }
    for _ in 0..SHARDS / SWEPT {
        memory.sweep(NOW + 2000);
    }
    assert_eq!((memory.len(), memory.evicted(), used(&memory, NOW + 5000, 1)), (50, 50, 1));
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let memory = Memory::new(1000);
    let all = [take(1, 5, 5), take(2, 5, 2)];
    assert!(memory.take(NOW, &all).unwrap().passed);
    memory.give_back(NOW, &all);
    assert_eq!((used(&memory, NOW, 1), used(&memory, NOW, 2)), (0, 0));
    // The window has rolled on, and somebody else has taken since.
    assert!(memory.take(NOW, &all).unwrap().passed);
    assert!(memory.take(NOW + 1500, &[take(2, 5, 1)]).unwrap().passed);
    memory.give_back(NOW, &all);
    assert_eq!(used(&memory, NOW + 1500, 2), 1);
    memory.give_back(NOW, &[take(9, 5, 5)]);
}

#[test]
fn a_changed_counter_is_handed_over_once_and_again_when_it_could_not_be_stored() {
    let memory = Memory::new(1000);
    memory.take(NOW, &[take(1, 9, 2), take(2, 9, 3)]).unwrap();
    memory.take(NOW, &[take(1, 9, 2), take(3, 0, 3)]).unwrap();
    let mut changed = memory.take_changed(NOW);
    changed.sort_by_key(|stored| stored.counter);
    let window = |current| Window { sequence: NOW / 1000, current, previous: 0 };
    let stored = |number, current| Stored { counter: counter(number), duration_ms: 1000, window: window(current) };
    assert_eq!(changed, [stored(1, 2), stored(2, 3)]);
    assert_eq!(memory.take_changed(NOW), []);
    memory.put_back(&changed);
    memory.take(NOW, &[take(1, 9, 1)]).unwrap();
    let mut again = memory.take_changed(NOW);
    again.sort_by_key(|stored| stored.counter);
    assert_eq!(again, [stored(1, 3), stored(2, 3)]);
    memory.put_back(&again);
    assert_eq!(memory.take_changed(NOW + 2000), [], "what counts no more is not worth a row");
}

#[test]
fn a_closed_limiter_decides_nothing_and_knows_everything_once_it_is_open() {
    let memory = Memory::closed(1);
    assert!(memory.take(NOW, &[take(1, 9, 1)]).is_err());
    let window = |current| Window { sequence: NOW / 1000, current, previous: 0 };
    let stored = |number, current| Stored { counter: counter(number), duration_ms: 1000, window: window(current) };
    memory.restore(&[stored(1, 4), stored(2, 5), stored(1, 3)]);
    memory.opened();
    assert_eq!((used(&memory, NOW, 1), used(&memory, NOW, 2), memory.len()), (4, 5, 2));
    assert_eq!(memory.take_changed(NOW), []);
}

#[test]
fn threads_together_take_exactly_the_limit_and_never_lock_each_other_out() {
    const LIMIT: u64 = 5000;
    let (memory, passed) = (Memory::new(100_000), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (memory, passed) = (&memory, &passed);
            scope.spawn(move || {
                for round in 0..4000_u32 {
                    let spread = |byte: u8| Counter::from_bytes([byte; 32]);
                    let mut takes = vec![Take { counter: spread(7), limit: LIMIT, duration_ms: 1000, cost: 1 }];
                    let other = u8::try_from(round % 50).unwrap().wrapping_mul(thread.wrapping_add(3));
                    takes.push(Take { counter: spread(other.max(8)), limit: 1_000_000, duration_ms: 1000, cost: 1 });
                    if round % 2 == 0 {
                        takes.reverse();
                    }
                    if memory.take(NOW, &takes).unwrap().passed {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.load(Ordering::Relaxed), LIMIT);
}
