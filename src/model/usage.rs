//! Usage: counts of verifications in buckets of an hour, a day or a month, UTC.

use crate::model::clock::Timestamp;
use crate::model::verdict::Outcome;
use chrono::DateTime;
use chrono::Datelike;
use chrono::Days;
use chrono::Months;
use chrono::NaiveTime;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// 60 minutes.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Interval {
    /// The word on the wire, also that of SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Start of the bucket that holds a moment.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        let cut = |length_ms: i64| {
            let ms = at.timestamp_millis();
            DateTime::from_timestamp_millis(ms.saturating_sub(ms.rem_euclid(length_ms))).unwrap_or(at)
        };
        match self {
            Self::Hour => cut(HOUR_MS),
            Self::Day => cut(DAY_MS),
            Self::Month => {
                let first = at.date_naive().with_day(1);
                first.map_or(at, |first| first.and_time(NaiveTime::MIN).and_utc())
            }
        }
    }

    /// Start of the bucket after the one that begins here.
    #[must_use]
    pub fn next(self, start: Timestamp) -> Timestamp {
        self.add(start, 1)
    }

    /// Start of the bucket that stands `count` buckets after the one that begins here.
    fn add(self, start: Timestamp, count: u32) -> Timestamp {
        let by_ms = |length_ms: i64| {
            let ms = start.timestamp_millis().saturating_add(length_ms.saturating_mul(i64::from(count)));
            DateTime::from_timestamp_millis(ms)
        };
        let added = match self {
            Self::Hour => by_ms(HOUR_MS),
            Self::Day => by_ms(DAY_MS),
            Self::Month => start.checked_add_months(Months::new(count)),
        };
        added.unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
    }

    /// How many buckets a range touches; 0 for an empty one.
    #[must_use]
    pub fn buckets(self, from: Timestamp, to: Timestamp) -> i64 {
        let last = DateTime::from_timestamp_millis(to.timestamp_millis().saturating_sub(1)).unwrap_or(to);
        if last < from {
            return 0;
        }
        let (first, last) = (self.start(from), self.start(last));
        let apart = |length_ms: i64| last.timestamp_millis().saturating_sub(first.timestamp_millis()) / length_ms;
        let apart = match self {
            Self::Hour => apart(HOUR_MS),
            Self::Day => apart(DAY_MS),
            Self::Month => {
                let month = |at: Timestamp| i64::from(at.year()) * 12 + i64::from(at.month0());
                month(last) - month(first)
            }
        };
        apart.saturating_add(1)
    }

    /// The starts of `count` buckets from the one that begins here.
    pub fn starts(self, first: Timestamp, count: u32) -> impl Iterator<Item = Timestamp> {
        (0..count).map(move |index| self.add(first, index))
    }
}

/// How long usage is kept, days beside the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Single verifications.
    pub events_days: u32,
    /// Records of denials.
    pub decisions_days: u32,
    /// Counts by the hour.
    pub hourly_days: u32,
    /// Counts by the day; `None` is for ever.
    pub daily_days: Option<u32>,
}

impl Retention {
    /// Days that counts in such buckets are kept; `None` is for ever. Months are made of days.
    #[must_use]
    pub fn days_of(&self, interval: Interval) -> Option<u32> {
        match interval {
            Interval::Hour => Some(self.hourly_days),
            Interval::Day | Interval::Month => self.daily_days,
        }
    }
}

/// The beginning of what is kept for so many days: a midnight. What is older goes.
#[must_use]
pub fn kept_from(now: Timestamp, days: u32) -> Timestamp {
    let today = Interval::Day.start(now);
    today.checked_sub_days(Days::new(u64::from(days))).unwrap_or(DateTime::<chrono::Utc>::MIN_UTC)
}

/// One bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it starts.
    pub start: Timestamp,
    /// Verifications by outcome; every outcome that is recorded is there.
    pub outcomes: BTreeMap<&'static str, i64>,
    /// Credits that the `VALID` ones took.
    pub credits_spent: i64,
}

impl Bucket {
    /// A bucket in which nothing happened.
    #[must_use]
    pub fn empty(start: Timestamp) -> Self {
        let recorded = Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::NotFound);
        Self { start, outcomes: recorded.map(|outcome| (outcome.code(), 0)).collect(), credits_spent: 0 }
    }

    /// All verifications in it.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.outcomes.values().fold(0, |total, count| total.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::Interval;
    use super::kept_from;
    use crate::model::clock::Timestamp;
    use chrono::DateTime;
    use proptest::prelude::*;

    const ALL: [Interval; 3] = [Interval::Hour, Interval::Day, Interval::Month];

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_bucket_begins_with_its_first_millisecond() {
        for (interval, moment, start) in [
            (Interval::Hour, "2026-11-21T10:59:59.999Z", "2026-11-21T10:00:00Z"),
            (Interval::Hour, "2026-11-21T11:00:00.000Z", "2026-11-21T11:00:00Z"),
            (Interval::Day, "2026-11-21T23:59:59.999Z", "2026-11-21T00:00:00Z"),
            (Interval::Day, "1969-12-31T23:59:59.999Z", "1969-12-31T00:00:00Z"),
            (Interval::Month, "2024-02-29T23:59:59.999Z", "2024-02-01T00:00:00Z"),
            (Interval::Month, "2024-03-01T00:00:00.000Z", "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(interval.start(at(moment)), at(start), "{interval:?} {moment}");
        }
        assert_eq!(Interval::Month.next(at("2026-12-01T00:00:00Z")), at("2027-01-01T00:00:00Z"));
        assert_eq!(kept_from(at("2026-11-21T10:00:00Z"), 30), at("2026-10-22T00:00:00Z"));
    }

    #[test]
    fn the_end_of_a_range_is_not_in_it() {
        let (from, to) = (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        assert_eq!(Interval::Month.buckets(from, to), 1);
        assert_eq!(Interval::Day.buckets(from, to), 30);
        assert_eq!(Interval::Hour.buckets(from, to), 720);
        assert_eq!(Interval::Month.buckets(from, at("2026-12-01T00:00:00.001Z")), 2);
        assert_eq!(Interval::Day.buckets(from, from), 0);
        assert_eq!(Interval::Day.buckets(to, from), 0);
    }

    proptest! {
        #[test]
        fn buckets_cover_a_range_without_gap_or_overlap(from in 0_i64..4_102_444_800_000, length in 1_i64..40_000_000_000, which in 0_usize..3) {
            let interval = ALL[which];
            let from = DateTime::from_timestamp_millis(from).unwrap();
            let to = DateTime::from_timestamp_millis(from.timestamp_millis() + length).unwrap();
            let count = u32::try_from(interval.buckets(from, to)).unwrap();
            let starts: Vec<_> = interval.starts(interval.start(from), count).collect();
            prop_assert!(starts[0] <= from);
            prop_assert!(*starts.last().unwrap() < to && interval.next(*starts.last().unwrap()) >= to);
            for pair in starts.windows(2) {
                prop_assert_eq!(interval.next(pair[0]), pair[1]);
                prop_assert_eq!(interval.start(pair[1]), pair[1]);
            }
        }
    }
}
