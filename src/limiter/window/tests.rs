//! The arithmetic of limits against the contract's vectors, and against a log of every grant.
#![expect(clippy::arithmetic_side_effects, reason = "tests fail by panicking")]

use super::MAX_DURATION_MS;
use super::MAX_TOKENS;
use super::Moment;
use super::Window;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::prelude::prop_oneof;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;

const DURATION: u64 = 1000;
/// A window of the present time.
const SEQUENCE: u64 = 1_800_000_000;

fn at(elapsed: u64) -> u64 {
    SEQUENCE * DURATION + elapsed
}

fn window(current: u64, previous: u64) -> Window {
    Window { sequence: SEQUENCE, current, previous }
}

/// What is left after taking, `None` if it is refused.
fn left(window: Window, elapsed: u64, limit: u64, cost: u64) -> Option<u64> {
    let reading = window.read(at(elapsed), DURATION);
    reading.admits(limit, cost).then(|| limit - reading.used - cost)
}

#[test]
fn the_vectors_of_the_contract() {
    for (current, previous, elapsed, cost, expected) in [
        (0, 0, 0, 1, Some(9)),
        (9, 0, 0, 1, Some(0)),
        (10, 0, 0, 0, Some(0)),
        (10, 0, 0, 1, None),
        (5, 10, 500, 1, None),
        (5, 10, 990, 1, Some(4)),
        (0, 0, 0, 100, None),
        // 10 × 0.001 and 10 × 0.999 are cut, not rounded.
        (0, 10, 999, 1, Some(9)),
        (0, 10, 1, 1, Some(0)),
        (0, 10, 0, 1, None),
        (0, 10, 0, 0, Some(0)),
    ] {
        let case = format!("{current}/{previous}/{elapsed} cost {cost}");
        assert_eq!(left(window(current, previous), elapsed, 10, cost), expected, "{case}");
    }
}

#[test]
fn a_counter_rolls_over_one_window_and_forgets_after_two() {
    let first = window(7, 3);
    let rolled = |windows: u64| first.read(at(windows * DURATION), DURATION).window;
    assert_eq!(rolled(0), first);
    assert_eq!(rolled(1), Window { sequence: SEQUENCE + 1, current: 0, previous: 7 });
    for windows in [2, 3, 1_000_000] {
        assert_eq!(rolled(windows), Window { sequence: SEQUENCE + windows, current: 0, previous: 0 });
    }
    assert!(!first.is_idle(at(2 * DURATION - 1), DURATION) && first.is_idle(at(2 * DURATION), DURATION));
}

#[test]
fn a_clock_that_went_back_reads_the_beginning_of_the_window_that_was_written() {
    let beginning = window(4, 6).read(at(0), DURATION);
    for back in [1, DURATION, 10 * DURATION, at(0)] {
        assert_eq!(window(4, 6).read(at(0) - back, DURATION), beginning);
    }
    assert_eq!((beginning.used, beginning.reset_ms), (10, at(DURATION)));
}

#[test]
fn a_limit_below_what_was_used_refuses_until_enough_is_gone() {
    assert_eq!(left(window(8, 0), 0, 5, 0), None);
    assert_eq!(left(window(8, 0), 0, 8, 0), Some(0));
    assert_eq!(left(window(8, 0), DURATION, 5, 1), None);
    assert_eq!(left(window(8, 0), DURATION + 500, 5, 1), Some(0));
}

#[test]
fn a_limit_of_nothing_refuses_even_nothing() {
    for cost in [0, 1, u64::MAX] {
        assert!(!Window::default().read(at(0), DURATION).admits(0, cost));
    }
}

#[test]
fn the_end_of_the_window_is_a_multiple_of_its_length_after_now() {
    for duration in [1, 1000, 1007, 86_400_000, 2_592_000_000, MAX_DURATION_MS] {
        for now in [0, 1, at(0), at(0) + 1, at(999)] {
            let reset = Window::default().read(now, duration).reset_ms;
            assert!(reset > now && reset - now <= duration && reset.is_multiple_of(duration), "{now} {duration}");
        }
    }
    // A length outside the bounds is taken to the nearest one inside.
    assert_eq!(Window::default().read(5, 0).reset_ms, 6);
    assert_eq!(Window::default().read(5, u64::MAX).reset_ms, MAX_DURATION_MS);
}

#[test]
fn nothing_wraps_at_the_ends_of_the_numbers() {
    let i64_max = u64::try_from(i64::MAX).unwrap();
    for cost in [MAX_TOKENS + 1, i64_max, i64_max + 1, u64::MAX] {
        assert!(!window(1, 0).read(at(0), DURATION).admits(u64::MAX, cost), "{cost}");
        assert!(!window(0, 0).read(at(0), DURATION).admits(10, cost), "{cost}");
    }
    let full = Window { sequence: SEQUENCE, current: MAX_TOKENS, previous: MAX_TOKENS };
    let reading = full.read(at(0), DURATION);
    assert_eq!((reading.used, reading.admits(i64_max, 0)), (2 * MAX_TOKENS, false));
    assert_eq!(reading.taking(u64::MAX).current, MAX_TOKENS);
    let extreme = Window { sequence: u64::MAX, current: u64::MAX, previous: u64::MAX };
    for now in [0, u64::MAX] {
        let reading = extreme.read(now, u64::MAX);
        assert_eq!((reading.used, reading.admits(u64::MAX, 0), reading.reset_ms), (u64::MAX, false, u64::MAX));
    }
    assert_eq!(extreme.worthless_ms(1), u64::MAX);
    assert_eq!(Moment::of(u64::MAX, 1000).left_ms, 1000 - u64::MAX % 1000);
}

#[test]
fn tokens_go_back_to_the_window_that_they_were_taken_from() {
    let taken = window(5, 7);
    assert_eq!(taken.given_back(at(0), DURATION, 2), window(3, 7));
    assert_eq!(taken.given_back(at(0), DURATION, 9), window(0, 7));
    assert_eq!(taken.given_back(at(0) - 1, DURATION, 2), window(5, 5), "it has rolled on since");
    assert_eq!(taken.given_back(at(0) - 1 - DURATION, DURATION, 2), taken, "that window is gone");
    assert_eq!(taken.given_back(at(DURATION), DURATION, 2), taken, "that window is not here");
}

/// Every grant: when, and how many tokens.
#[derive(Default)]
struct Log(Vec<(u64, u64)>);

impl Log {
    fn within(&self, window: u64, duration: u64) -> u64 {
        self.0.iter().filter(|(when, _)| when / duration == window).map(|(_, cost)| cost).sum()
    }
}

fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![0..50_u64, 0..=MAX_TOKENS, any::<u64>()]
}

proptest! {
    #[test]
    fn it_decides_as_a_log_of_all_grants_does(
        duration in prop_oneof![proptest::strategy::Just(1000), 1000..5000_u64],
        calls in proptest::collection::vec((0..1500_u64, 0..30_u64, 0..8_u64), 1..200),
    ) {
        let (mut now, mut log, mut kept) = (at(0), Log::default(), Window::default());
        for (later, limit, cost) in calls {
            now += later;
            let (sequence, elapsed) = (now / duration, now % duration);
            let before = log.within(sequence - 1, duration) * (duration - elapsed) / duration;
            let expected = log.within(sequence, duration) + before;
            let reading = kept.read(now, duration);
            prop_assert_eq!(reading.used, expected);
            prop_assert_eq!(reading.admits(limit, cost), limit > 0 && expected + cost <= limit);
            if reading.admits(limit, cost) {
                kept = reading.taking(cost);
                log.0.push((now, cost));
            }
        }
    }

    #[test]
    fn no_aligned_window_admits_more_than_the_limit(
        limit in 1..50_u64,
        calls in proptest::collection::vec((0..700_i64, 0..60_u64), 1..200),
        back in 0..5_i64,
    ) {
        // The clock goes back now and then.
        let (mut now, mut kept, mut admitted) = (at(0), Window::default(), std::collections::BTreeMap::<u64, u64>::new());
        for (later, cost) in calls {
            now = now.saturating_add_signed(if later % 5 < back { -later } else { later });
            let reading = kept.read(now, DURATION);
            if reading.admits(limit, cost) {
                kept = reading.taking(cost);
                *admitted.entry(kept.sequence).or_default() += cost;
            }
        }
        prop_assert!(admitted.values().all(|tokens| *tokens <= limit), "{:?}", admitted);
    }

    #[test]
    fn a_fresh_counter_admits_what_fits_and_time_only_frees(
        current in 0..=MAX_TOKENS, previous in 0..=MAX_TOKENS, limit in 1..=MAX_TOKENS, cost in 0..=MAX_TOKENS,
        duration in 1000..=MAX_DURATION_MS, now in 0..(1_u64 << 45), later in 0..(1_u64 << 45),
    ) {
        prop_assert_eq!(Window::default().read(now, duration).admits(limit, cost), cost <= limit);
        let window = Window { sequence: now / duration, current, previous };
        let (first, second) = (window.read(now, duration), window.read(now + later, duration));
        prop_assert!(second.used <= first.used && second.reset_ms >= first.reset_ms);
        prop_assert!(first.used >= current && first.used <= current + previous);
        prop_assert!(!first.admits(limit, cost) || second.admits(limit, cost));
        prop_assert_eq!(window.read(window.worthless_ms(duration), duration).used, 0);
    }

    #[test]
    fn it_never_wraps(
        sequence in any::<u64>(), current in tokens(), previous in tokens(), limit in tokens(), cost in tokens(),
        duration in any::<u64>(), now in any::<u64>(),
    ) {
        let reading = Window { sequence, current, previous }.read(now, duration);
        prop_assert!(reading.used >= reading.window.current);
        if reading.admits(limit, cost) {
            prop_assert!(cost <= limit && reading.used <= limit - cost && reading.taking(cost).current <= MAX_TOKENS);
        }
        let back = reading.window.given_back(now, duration, cost);
        prop_assert!(back.current <= reading.window.current && back.previous <= reading.window.previous);
    }
}
