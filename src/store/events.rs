//! Events of verifications, written in batches: the events, their sums by hour and by day, and when keys were last used, in
//! one transaction.

use crate::model::clock::Timestamp;
use crate::model::id::ApiId;
use crate::model::id::IdentityId;
use crate::model::id::KeyId;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::model::id::WriterId;
use crate::model::schema::verifications;
use crate::model::usage::Interval;
use crate::model::verdict::Outcome;
use crate::model::verification::Verification;
use crate::store::keys;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Tx;
use diesel::ExecuteCopyFromDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::prelude::Insertable;
use diesel::result::Error;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Bytea;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;
use ring::digest;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Sums are by the hour and by the day, UTC, which hours make up.
const SECONDS_OF_AN_HOUR: i64 = 3600;

/// Events that are written together. A writer has one at a time, and numbers them from 1.
#[derive(Debug)]
pub struct Batch {
    /// The process.
    pub writer: WriterId,
    /// Which of its batches.
    pub number: i64,
    /// In order of their arrival.
    pub events: Vec<Verification>,
}

/// Writes a batch, all of it or nothing. False if it was written before, and only the answer got lost: then nothing is
/// written again. Waits for an earlier try that is still under way.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, batch: &Batch) -> QueryResult<bool> {
    if !claim(tx, batch)? {
        return Ok(false);
    }
    let alike = alike(&batch.events);
    copy(tx, &alike)?;
    // Every writer locks rows in one order, by table and by key: no two of them can wait for each other.
    for (interval, statement) in [(Interval::Hour, UPSERT_HOURLY), (Interval::Day, UPSERT_DAILY)] {
        let sums: Vec<_> = summed(&alike, interval).into_iter().collect();
        for sums in sums.chunks(MAX_ROWS) {
            upsert(tx, statement, sums)?;
        }
    }
    let mut used: HashMap<&KeyId, Timestamp> = HashMap::new();
    for kind in &alike {
        let last = used.entry(&kind.first.subject.key).or_insert(kind.last);
        *last = kind.last.max(*last);
    }
    let mut used: Vec<_> = used.into_iter().map(|(key, at)| (key.clone(), at)).collect();
    used.sort_unstable();
    keys::touch(tx, &used)?;
    Ok(true)
}

fn claim(tx: &mut Tx<'_>, batch: &Batch) -> QueryResult<bool> {
    let claimed = diesel::sql_query(
        "INSERT INTO event_writers AS writers (id, batch, at) VALUES ($1, $2, now()) \
         ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = excluded.at WHERE writers.batch < excluded.batch",
    )
    .bind::<Text, _>(batch.writer.as_str())
    .bind::<BigInt, _>(batch.number)
    .execute(tx.connection)?;
    Ok(claimed == 1)
}

#[derive(Insertable)]
#[diesel(table_name = verifications, treat_none_as_default_value = false)]
struct Row<'a> {
    at: Timestamp,
    workspace_id: &'a WorkspaceId,
    api_id: &'a ApiId,
    key_id: &'a KeyId,
    identity_id: Option<&'a IdentityId>,
    external_id: Option<&'a str>,
    outcome: &'static str,
    tags: &'a [String],
    credits_spent: i64,
    request_id: &'a RequestId,
    times: Option<Vec<Timestamp>>,
    request_ids: Option<Vec<&'a str>>,
    credits: Option<Vec<i64>>,
}

/// Verifications that are alike share a row (see the migration `packed_verifications`).
fn copy(tx: &mut Tx<'_>, alike: &[Alike<'_>]) -> QueryResult<()> {
    let rows: Vec<_> = alike.iter().map(row_of).collect();
    diesel::copy_from(verifications::table).from_insertable(rows).execute(tx.connection)?;
    Ok(())
}

fn row_of<'a>(alike: &Alike<'a>) -> Row<'a> {
    let (event, subject) = (alike.first, &alike.first.subject);
    let several = alike.events.len() > 1;
    let each = || alike.events.iter();
    Row {
        at: event.at,
        workspace_id: &subject.workspace,
        api_id: &subject.api,
        key_id: &subject.key,
        identity_id: subject.owner.as_ref().map(|(id, _)| id),
        external_id: subject.owner.as_ref().map(|(_, external_id)| external_id.as_str()),
        outcome: event.outcome.code(),
        tags: &event.tags,
        credits_spent: alike.sum.credits_spent,
        request_id: &event.request,
        times: several.then(|| each().map(|event| event.at).collect()),
        request_ids: several.then(|| each().map(|event| event.request.as_str()).collect()),
        credits: (several && alike.sum.credits_spent > 0).then(|| each().map(|event| event.credits_spent).collect()),
    }
}

/// What a row of sums is about, in the order of the tables' keys.
type Series<'a> = (&'a WorkspaceId, Timestamp, [u8; digest::SHA256_OUTPUT_LEN]);

/// The events of one row of sums: one of them, their tags in order, how many there are, and the credits that they spent.
#[derive(Clone)]
struct Sum<'a> {
    event: &'a Verification,
    tags: Vec<&'a str>,
    series: [u8; digest::SHA256_OUTPUT_LEN],
    count: i64,
    credits_spent: i64,
}

/// Events of one key with one outcome and the same tags, all of the same hour.
struct Alike<'a> {
    first: &'a Verification,
    events: Vec<&'a Verification>,
    /// When the last of them was.
    last: Timestamp,
    sum: Sum<'a>,
}

/// Gathers events that are alike. A batch has many events of few keys, so what is costly (a row, the series, which is a hash) is
/// made once for each kind of event, not once for each event.
fn alike(events: &[Verification]) -> Vec<Alike<'_>> {
    let mut places: HashMap<(usize, Outcome, &[String], i64), usize> = HashMap::new();
    let mut kinds: Vec<Alike<'_>> = Vec::new();
    for event in events {
        let hour = event.at.timestamp().div_euclid(SECONDS_OF_AN_HOUR);
        let kind = (Arc::as_ptr(&event.subject).addr(), event.outcome, event.tags.as_slice(), hour);
        let place = *places.entry(kind).or_insert_with(|| {
            let mut tags: Vec<&str> = event.tags.iter().map(String::as_str).collect();
            tags.sort_unstable();
            tags.dedup();
            let sum = Sum { event, series: series(event, &tags), tags, count: 0, credits_spent: 0 };
            kinds.push(Alike { first: event, events: Vec::new(), last: event.at, sum });
            kinds.len().saturating_sub(1)
        });
        if let Some(alike) = kinds.get_mut(place) {
            alike.events.push(event);
            alike.last = event.at.max(alike.last);
            alike.sum.count = alike.sum.count.saturating_add(1);
            alike.sum.credits_spent = alike.sum.credits_spent.saturating_add(event.credits_spent);
        }
    }
    kinds
}

/// Sums by what they are about and by the interval that they lie in, which is an hour or consists of hours.
fn summed<'a>(alike: &[Alike<'a>], interval: Interval) -> BTreeMap<Series<'a>, Sum<'a>> {
    let mut sums: BTreeMap<Series<'_>, Sum<'_>> = BTreeMap::new();
    for Alike { sum, .. } in alike {
        let series = (&sum.event.subject.workspace, interval.start(sum.event.at), sum.series);
        match sums.entry(series) {
            Entry::Vacant(free) => drop(free.insert(sum.clone())),
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count = known.count.saturating_add(sum.count);
                known.credits_spent = known.credits_spent.saturating_add(sum.credits_spent);
            }
        }
    }
    sums
}

/// SHA-256 of all parts, each after its length, so that no two lists of parts read the same.
fn series(event: &Verification, tags: &[&str]) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let subject = &event.subject;
    let (has_owner, external_id) = match &subject.owner {
        Some((_, external_id)) => ("1", external_id.as_str()),
        None => ("0", ""),
    };
    let fixed = [subject.api.as_str(), subject.key.as_str(), has_owner, external_id, event.outcome.code()];
    let mut context = digest::Context::new(&digest::SHA256);
    for part in fixed.iter().chain(tags) {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut bytes = [0; digest::SHA256_OUTPUT_LEN];
    bytes.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// A sum that would be too great for its column stays at the greatest that there is: one key's numbers must not keep
/// everybody's events from being written.
macro_rules! upsert {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " AS known (workspace_id, at, series, api_id, key_id, external_id, outcome, tags, count, credits_spent) \
             SELECT workspace_id, at, series, api_id, key_id, external_id, outcome, \
             ARRAY(SELECT json_array_elements_text(tags::json)), count, credits_spent \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS row \
             (workspace_id, at, series, api_id, key_id, external_id, outcome, tags, count, credits_spent) \
             ON CONFLICT (workspace_id, at, series) DO UPDATE SET count = known.count + excluded.count, credits_spent = \
             LEAST(known.credits_spent::numeric + excluded.credits_spent, 9223372036854775807)::bigint"
        )
    };
}

const UPSERT_HOURLY: &str = upsert!("usage_hourly");
const UPSERT_DAILY: &str = upsert!("usage_daily");

fn upsert(tx: &mut Tx<'_>, statement: &str, sums: &[(Series<'_>, Sum<'_>)]) -> QueryResult<()> {
    let json =
        |sum: &Sum<'_>| serde_json::to_string(&sum.tags).map_err(|error| Error::SerializationError(error.into()));
    let tags: Vec<String> = sums.iter().map(|(_, sum)| json(sum)).collect::<QueryResult<_>>()?;
    let owner = |sum: &Sum<'_>| sum.event.subject.owner.as_ref().map(|(_, external_id)| external_id.clone());
    diesel::sql_query(statement)
        .bind::<Array<Text>, _>(sums.iter().map(|((workspace, _, _), _)| workspace.as_str()).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(sums.iter().map(|((_, at, _), _)| *at).collect::<Vec<_>>())
        .bind::<Array<Bytea>, _>(sums.iter().map(|((_, _, series), _)| series.as_slice()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(sums.iter().map(|(_, sum)| sum.event.subject.api.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(sums.iter().map(|(_, sum)| sum.event.subject.key.as_str()).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(sums.iter().map(|(_, sum)| owner(sum)).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(sums.iter().map(|(_, sum)| sum.event.outcome.code()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(tags)
        .bind::<Array<BigInt>, _>(sums.iter().map(|(_, sum)| sum.count).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(sums.iter().map(|(_, sum)| sum.credits_spent).collect::<Vec<_>>())
        .execute(tx.connection)?;
    Ok(())
}
