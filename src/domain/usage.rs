//! `analytics.getUsage` (contract/analytics.md, decisions.md "Additions"), and the upkeep of its tables.

use crate::authz::action::Action;
use crate::authz::caller::Caller;
use crate::authz::caller::On;
use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::ApiId;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::page::Page;
use crate::model::usage::Bucket;
use crate::model::usage::Interval;
use crate::model::usage::Retention;
use crate::model::usage::kept_from;
use crate::store;
use crate::store::database::Db;
use crate::store::partitions::Ran;
use crate::store::partitions::Records;
use crate::store::tx::Tx;
use crate::store::usage::Filter;
use chrono::TimeDelta;

/// Most buckets of one range, all pages together.
pub const MAX_BUCKETS: i64 = 10_000;
/// How often the tables are looked after when there is nothing known to do.
const UPKEEP: TimeDelta = TimeDelta::hours(1);

/// What is asked.
#[derive(Clone, Debug)]
pub struct GetUsage {
    /// Only keys of this API.
    pub api: Option<ApiId>,
    /// Which verifications count; its `apis` are not the request's to say.
    pub filter: Filter,
    /// The range; its end is not in it.
    pub range: [Timestamp; 2],
    /// Length of the buckets.
    pub interval: Interval,
    /// Buckets of the page at most, 1 or more.
    pub limit: u32,
    /// Start of the first bucket of the page, milliseconds.
    pub cursor: Option<i64>,
}

/// Counts verifications in every bucket that the range touches, each bucket whole. What is unknown or deleted has numbers
/// like anything else, 0 if there never were any.
///
/// # Errors
/// `insufficient_permissions` without any `read_analytics`, or for an API that it does not cover; `invalid_input` for a range
/// that is empty, has too many buckets, or begins before what is kept.
pub fn get(tx: &mut Tx<'_>, caller: &Caller, retention: Retention, request: GetUsage) -> Result<Page<Bucket>> {
    caller.somewhere(&[])?;
    let apis = match &request.api {
        Some(api) => {
            caller.permit(On::Api(api))?;
            Some(vec![api.clone()])
        }
        None => caller.covered(Action::ReadApiAnalytics),
    };
    let interval = request.interval;
    let [from, to] = request.range;
    let buckets = checked(interval, request.range, retention, tx.now())?;
    let cursor = request.cursor.and_then(Timestamp::from_timestamp_millis);
    let first = cursor.map_or(from, |cursor| cursor.max(from));
    let left = interval.buckets(first, to).clamp(0, buckets);
    let count = u32::try_from(left).unwrap_or(u32::MAX).min(request.limit);
    let mut rows: Vec<_> = interval.starts(interval.start(first), count).map(Bucket::empty).collect();
    let Some(end) = rows.last().map(|last| interval.next(last.start)) else { return Ok(Page { rows, next: None }) };
    let filter = Filter { apis, ..request.filter };
    for sum in store::usage::sums(tx, &caller.workspace, interval, [interval.start(first), end], &filter)? {
        let bucket = rows.binary_search_by_key(&sum.start, |bucket| bucket.start).ok();
        let Some(bucket) = bucket.and_then(|index| rows.get_mut(index)) else { continue };
        if let Some(count) = bucket.outcomes.get_mut(sum.outcome.as_str()) {
            *count = sum.count;
        }
        bucket.credits_spent = bucket.credits_spent.saturating_add(sum.credits_spent);
    }
    let next = (i64::from(count) < left).then(|| end.timestamp_millis().to_string());
    Ok(Page { rows, next })
}

/// How many buckets a range has.
fn checked(interval: Interval, [from, to]: [Timestamp; 2], retention: Retention, now: Timestamp) -> Result<i64> {
    let buckets = interval.buckets(from, to);
    if buckets == 0 {
        let fix = "The end is not part of the range: send a `to` that is greater than `from`.";
        return Err(Error::invalid("body.to", "is not after `from`", Some(fix)));
    }
    if buckets > MAX_BUCKETS {
        let message =
            format!("the range touches {buckets} buckets of one {}, {MAX_BUCKETS} are the most", interval.name());
        let fix = "Ask for a shorter range at a time, or for a longer `interval`.";
        return Err(Error::invalid("body.to", message, Some(fix)));
    }
    // Numbers that are gone must not look like zeros.
    if let Some(days) = retention.days_of(interval) {
        let kept = kept_from(now, days);
        if interval.start(from) < kept {
            let message = format!(
                "lies before {}: counts by the {} are kept for {days} days",
                kept.format("%Y-%m-%dT%H:%M:%SZ"),
                if interval == Interval::Hour { "hour" } else { "day" },
            );
            let ms = kept.timestamp_millis();
            let fix = match interval {
                Interval::Hour => format!("Send {ms} or later, or the `interval` `day`."),
                Interval::Day | Interval::Month => format!("Send a bucket that starts at {ms} or later."),
            };
            return Err(Error::invalid("body.from", message, Some(&fix)));
        }
    }
    Ok(buckets)
}

/// Upkeep of the tables, as seen by one node.
#[derive(Debug)]
pub struct Upkeep {
    retention: Retention,
    /// When it was last done, as far as it is.
    done: Option<Timestamp>,
}

impl Upkeep {
    /// Nothing was done yet.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self { retention, done: None }
    }

    /// Looks after the tables if a day has begun, an hour has gone by, or something was left to do.
    ///
    /// # Errors
    /// Whatever the database says; it is tried again within a minute.
    pub async fn run_if_due(&mut self, db: &Db) -> Result<()> {
        let now = db.clock().now();
        let same_day = |done: Timestamp| Interval::Day.start(done) == Interval::Day.start(now);
        if self.done.is_some_and(|done| same_day(done) && now.signed_duration_since(done) < UPKEEP) {
            return Ok(());
        }
        let retention = self.retention;
        let (mut all, mut failed) = (true, None);
        for records in Records::ALL {
            let maintain = move |tx: &mut Tx<'_>| Ok(store::partitions::maintain(tx, records, retention)?);
            match db.write(Origin::local(Actor::System), maintain).await {
                Ok(Ran::All) => (),
                Ok(Ran::Part | Ran::Elsewhere) => all = false,
                Err(error) => failed = Some(error),
            }
        }
        self.done = all.then_some(now);
        if let Some(error) = failed {
            // Not at once: whatever it is, it is likely to last.
            self.done = now.checked_sub_signed(UPKEEP - TimeDelta::minutes(1));
            return Err(error);
        }
        Ok(())
    }
}
