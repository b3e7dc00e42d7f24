//! The calendar of refills, by tables and against a model that walks day by day.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::Credits;
use super::Due;
use super::Refill;
use crate::model::clock::Timestamp;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use chrono::DateTime;
use chrono::Datelike;
use chrono::Days;
use chrono::Duration;
use chrono::NaiveDate;
use proptest::prelude::*;

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn credits(remaining: i64, refill: Option<Refill>, refilled_at: Timestamp) -> Credits {
    Credits {
        key_id: KeyId::from_text("key_1"),
        workspace_id: WorkspaceId::from_text("ws_1"),
        remaining,
        refill_amount: refill.map(|refill| refill.amount),
        refill_day: refill.and_then(|refill| refill.day),
        refilled_at,
    }
}

/// Length of a month by the rhyme, not by the library that the calendar uses.
fn days_of(year: i32, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

fn midnight(date: NaiveDate) -> Timestamp {
    date.and_hms_opt(0, 0, 0).unwrap().and_utc()
}

/// Whether refills of this schedule fall on a date.
fn falls_on(day: Option<i32>, date: NaiveDate) -> bool {
    let length = i32::try_from(days_of(date.year(), date.month())).unwrap();
    day.is_none_or(|day| day.min(length) == i32::try_from(date.day()).unwrap())
}

/// The balance as a clerk would keep it, who comes by at every midnight.
fn day_by_day(credits: &Credits, now: Timestamp) -> i64 {
    let Some(refill) = credits.refill() else { return credits.remaining };
    let mut remaining = credits.remaining;
    let mut date = credits.refilled_at.date_naive();
    while midnight(date) <= now {
        if midnight(date) > credits.refilled_at && falls_on(refill.day, date) && remaining < refill.amount {
            remaining = refill.amount;
        }
        date = date.checked_add_days(Days::new(1)).unwrap();
    }
    remaining
}

#[test]
fn the_last_refill_of_each_schedule_is_known() {
    let cases = [
        // Daily, around midnight.
        ("2026-03-10T00:00:00Z", None, "2026-03-10T00:00:00Z"),
        ("2026-03-10T00:00:00.001Z", None, "2026-03-10T00:00:00Z"),
        ("2026-03-09T23:59:59.999Z", None, "2026-03-09T00:00:00Z"),
        // Monthly, around midnight of the day.
        ("2026-03-10T00:00:00Z", Some(10), "2026-03-10T00:00:00Z"),
        ("2026-03-09T23:59:59.999Z", Some(10), "2026-02-10T00:00:00Z"),
        ("2026-03-10T00:00:00.001Z", Some(10), "2026-03-10T00:00:00Z"),
        // Months of 31, 30, 28 and 29 days.
        ("2026-03-31T12:00:00Z", Some(31), "2026-03-31T00:00:00Z"),
        ("2026-03-30T12:00:00Z", Some(31), "2026-02-28T00:00:00Z"),
        ("2026-04-30T00:00:00Z", Some(31), "2026-04-30T00:00:00Z"),
        ("2026-04-29T23:59:59.999Z", Some(31), "2026-03-31T00:00:00Z"),
        ("2026-02-28T00:00:00Z", Some(29), "2026-02-28T00:00:00Z"),
        ("2026-02-28T00:00:00Z", Some(30), "2026-02-28T00:00:00Z"),
        ("2026-02-27T23:59:59.999Z", Some(30), "2026-01-30T00:00:00Z"),
        ("2026-02-27T23:59:59.999Z", Some(31), "2026-01-31T00:00:00Z"),
        ("2028-02-28T12:00:00Z", Some(29), "2028-01-29T00:00:00Z"),
        ("2028-02-29T00:00:00Z", Some(29), "2028-02-29T00:00:00Z"),
        ("2028-02-29T00:00:00Z", Some(31), "2028-02-29T00:00:00Z"),
        ("2028-03-01T00:00:00Z", Some(30), "2028-02-29T00:00:00Z"),
        // Centuries: 2000 and 2400 are leap years, 2100 is none.
        ("2100-03-01T00:00:00Z", Some(29), "2100-02-28T00:00:00Z"),
        ("2400-03-01T00:00:00Z", Some(29), "2400-02-29T00:00:00Z"),
        // Over the end of a year.
        ("2027-01-01T00:00:00Z", Some(31), "2026-12-31T00:00:00Z"),
        ("2027-01-01T00:00:00Z", Some(1), "2027-01-01T00:00:00Z"),
        ("2026-12-31T23:59:59.999Z", Some(1), "2026-12-01T00:00:00Z"),
    ];
    for (now, day, last) in cases {
        assert_eq!(Due::at(moment(now)).last(day), moment(last), "{now} {day:?}");
    }
}

#[test]
fn a_refill_happens_once_and_only_raises() {
    let daily = Some(Refill { amount: 100, day: None });
    let monthly = |day| Some(Refill { amount: 100, day: Some(day) });
    let cases = [
        ("none is due", 5, daily, "2026-03-10T00:00:00Z", "2026-03-10T23:59:59.999Z", 5),
        ("a millisecond before", 5, daily, "2026-03-10T12:00:00Z", "2026-03-10T23:59:59.999Z", 5),
        ("at midnight", 5, daily, "2026-03-10T12:00:00Z", "2026-03-11T00:00:00Z", 100),
        ("a millisecond after", 5, daily, "2026-03-10T23:59:59.999Z", "2026-03-11T00:00:00.001Z", 100),
        ("it was made at midnight already", 5, daily, "2026-03-11T00:00:00Z", "2026-03-11T00:00:00.001Z", 5),
        ("a larger balance stays", 500, daily, "2026-03-10T12:00:00Z", "2026-03-12T00:00:00Z", 500),
        ("an equal balance stays", 100, daily, "2026-03-10T12:00:00Z", "2026-03-12T00:00:00Z", 100),
        ("no schedule", 5, None, "2026-03-10T12:00:00Z", "2036-03-10T12:00:00Z", 5),
        ("a long sleep refills once", 0, daily, "2016-03-10T12:00:00Z", "2026-03-10T12:00:00Z", 100),
        ("a long sleep, monthly", 0, monthly(31), "2016-03-10T12:00:00Z", "2026-03-10T12:00:00Z", 100),
        ("31 in February", 0, monthly(31), "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", 100),
        ("31 before the end of February", 0, monthly(31), "2026-01-31T00:00:00Z", "2026-02-27T23:59:59.999Z", 0),
        ("29 in a leap year", 0, monthly(29), "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z", 100),
        ("29 is not the 28th of a leap year", 0, monthly(29), "2028-02-27T00:00:00Z", "2028-02-28T23:59:59.999Z", 0),
        (
            "30 in February, and not again in March",
            0,
            monthly(30),
            "2026-02-28T00:00:00Z",
            "2026-03-29T23:59:59.999Z",
            0,
        ),
        (
            "this clock lags behind the one that refilled",
            5,
            daily,
            "2026-03-11T00:00:00.500Z",
            "2026-03-10T23:59:59Z",
            5,
        ),
        ("and goes on past midnight", 5, daily, "2026-03-11T00:00:00.500Z", "2026-03-11T00:00:00.100Z", 5),
        ("this clock lags by days", 5, daily, "2026-03-11T00:00:00.500Z", "2026-03-08T12:00:00Z", 5),
    ];
    for (name, remaining, refill, refilled_at, now, balance) in cases {
        let (stored, now) = (credits(remaining, refill, moment(refilled_at)), moment(now));
        assert_eq!(stored.at(now), balance, "{name}");
        assert_eq!(day_by_day(&stored, now), balance, "the model: {name}");
        let refilled_at = stored.refilled_at;
        let settled = stored.settled(now);
        assert_eq!((settled.remaining, settled.refilled_at), (balance, refilled_at.max(now)), "{name}");
        assert_eq!(settled.clone().settled(now), settled, "twice is once: {name}");
    }
}

#[test]
fn the_calendar_has_a_moment_for_each_schedule() {
    let due = Due::at(moment("2026-11-21T09:00:00Z"));
    assert_eq!(due.moments().len(), 32);
    let by_index: Vec<_> = (0..=31).map(|day| due.last((day > 0).then_some(day))).collect();
    assert_eq!(due.moments(), by_index);
}

prop_compose! {
    fn moments()(ms in -2_208_988_800_000_i64..7_258_118_400_000, at_midnight in any::<bool>(), off_ms in -1_i64..=1) -> Timestamp {
        const DAY_MS: i64 = 86_400_000;
        let ms = if at_midnight { ms.div_euclid(DAY_MS) * DAY_MS + off_ms } else { ms };
        DateTime::from_timestamp_millis(ms).unwrap()
    }
}

proptest! {
    /// From 1900 to 2200, the calendar finds what a walk from midnight to midnight finds, also after long sleeps and by
    /// clocks that lag.
    #[test]
    fn balances_are_those_of_a_clerk(
        now in moments(),
        slept_ms in -40_000_000_000_i64..120_000_000_000,
        slept_days in prop::option::of(0_i64..800),
        remaining in 0_i64..200,
        amount in 1_i64..200,
        day in prop::option::of(1_i32..=31),
    ) {
        let slept = slept_days.map_or(Duration::milliseconds(slept_ms), Duration::days);
        let stored = credits(remaining, Some(Refill { amount, day }), now - slept);
        prop_assert_eq!(stored.at(now), day_by_day(&stored, now));
    }

    /// When a balance is looked at in between makes no difference, if nothing is spent.
    #[test]
    fn a_look_in_between_changes_nothing(
        now in moments(),
        slept_ms in 0_i64..120_000_000_000,
        part in 0_i64..=100,
        remaining in 0_i64..200,
        day in prop::option::of(1_i32..=31),
    ) {
        let stored = credits(remaining, Some(Refill { amount: 100, day }), now - Duration::milliseconds(slept_ms));
        let between = now - Duration::milliseconds(slept_ms * part / 100);
        prop_assert_eq!(stored.clone().settled(between).settled(now), stored.settled(now));
    }
}
