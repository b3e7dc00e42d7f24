//! Credits: how often a key may still be used, and the refills that its balance gets by the calendar (keys.md section 9,
//! decisions.md #28, #29). Pure.
#![deny(clippy::arithmetic_side_effects)]

use crate::model::clock::Timestamp;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::schema::credits;
use chrono::DateTime;
use chrono::Datelike;
use chrono::NaiveDate;
use diesel::prelude::Insertable;
use diesel::prelude::Queryable;
use diesel::prelude::Selectable;

/// A schedule of refills, which happen at 00:00 UTC and set the balance to `amount` if it is lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refill {
    /// The balance after a refill, 1 or more.
    pub amount: i64,
    /// Day of the month, 1 to 31; in a shorter month its last day. `None` is every day.
    pub day: Option<i32>,
}

/// The balance of a limited key, as it is stored. A key without one is unlimited.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = credits, check_for_backend(diesel::pg::Pg))]
pub struct Credits {
    /// The key.
    pub key_id: KeyId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// Credits left, refills since [`Self::refilled_at`] not counted.
    pub remaining: i64,
    /// Amount of the refill, if there is one.
    pub refill_amount: Option<i64>,
    /// Day of a monthly refill.
    pub refill_day: Option<i32>,
    /// Refills that fell due until then are in `remaining`.
    pub refilled_at: Timestamp,
}

impl Credits {
    /// The schedule, if there is one.
    #[must_use]
    pub fn refill(&self) -> Option<Refill> {
        self.refill_amount.map(|amount| Refill { amount, day: self.refill_day })
    }

    /// Credits that a spend at this moment would find.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> i64 {
        match self.refill() {
            Some(refill) if self.refilled_at < Due::at(now).last(refill.day) => self.remaining.max(refill.amount),
            Some(_) | None => self.remaining,
        }
    }

    /// The same with all refills that are due in it.
    #[must_use]
    pub fn settled(self, now: Timestamp) -> Self {
        Self { remaining: self.at(now), refilled_at: self.refilled_at.max(now), ..self }
    }
}

/// When refills of each schedule were last due: the calendar for one moment. The ledger hands it to its statement, so that
/// there is no second calendar in SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The last 00:00 UTC, then for the days 1 to 31 the last 00:00 UTC of such a day.
    moments: Vec<Timestamp>,
}

impl Due {
    /// The calendar as it stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let today = now.date_naive();
        let moments = (0..=31).map(|day| midnight(if day == 0 { today } else { last_monthly(today, day) }, now));
        Self { moments: moments.collect() }
    }

    /// When a refill on this day of the month, or on every day, was last due.
    #[must_use]
    pub fn last(&self, day: Option<i32>) -> Timestamp {
        let index = usize::try_from(day.unwrap_or(0)).unwrap_or(0);
        self.moments.get(index).copied().unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// All moments: the daily one first, then those of the days 1 to 31.
    #[must_use]
    pub fn moments(&self) -> &[Timestamp] {
        &self.moments
    }
}

/// The last date, today at the latest, on which a monthly refill of this day falls.
fn last_monthly(today: NaiveDate, day: u32) -> NaiveDate {
    let this_month = in_month(today, day);
    if this_month <= today {
        return this_month;
    }
    let last_of_previous = today.with_day(1).and_then(|first| first.pred_opt());
    last_of_previous.map_or(this_month, |date| in_month(date, day))
}

/// The date in the month of `date` on which `day` falls: its last one if it is shorter.
fn in_month(date: NaiveDate, day: u32) -> NaiveDate {
    (1..=day).rev().find_map(|day| date.with_day(day)).unwrap_or(date)
}

fn midnight(date: NaiveDate, fallback: Timestamp) -> Timestamp {
    date.and_hms_opt(0, 0, 0).map_or(fallback, |time| time.and_utc())
}

#[cfg(test)]
mod tests;
