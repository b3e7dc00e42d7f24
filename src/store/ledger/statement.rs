//! The statements of the ledger. Their texts never change, so that each is parsed and planned once a connection.
#![deny(clippy::arithmetic_side_effects)]

use crate::model::clock::Timestamp;
use crate::model::credits::Credits;
use crate::model::credits::Due;
use crate::model::id::KeyId;
use crate::model::schema::credits;
use crate::store::ledger::batch::Found;
use crate::store::ledger::batch::Group;
use diesel::Connection;
use diesel::ExpressionMethods;
use diesel::PgConnection;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::SelectableHelper;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::query_builder::Query;
use diesel::query_builder::QueryFragment;
use diesel::query_builder::QueryId;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Bool;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;
use std::collections::HashMap;

/// What to do about a row that somebody else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// Wait for it, up to the session's `lock_timeout`.
    Wait,
    /// Leave it out.
    Skip,
}

/// What was found by key. A key without a balance is not in it.
pub(super) type FoundByKey = HashMap<KeyId, Found>;

/// One moment, and the calendar as it stands then.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    due: Due,
}

impl Moment {
    pub(super) fn at(now: Timestamp) -> Self {
        Self { now, due: Due::at(now) }
    }
}

/// Takes from each key the total of its group if the balance suffices for all of it, in one statement: what it returns is
/// durable.
pub(super) fn take(
    connection: &mut PgConnection,
    lock: Lock,
    groups: &[Group],
    moment: &Moment,
) -> QueryResult<FoundByKey> {
    let statement = Take {
        keys: groups.iter().map(|group| group.key.as_str()).collect(),
        totals: groups.iter().map(Group::total).collect(),
        least: groups.iter().map(Group::least).collect(),
        moment,
        lock,
    };
    let rows: Vec<(KeyId, i64, bool)> = statement.load(connection)?;
    let mut found = FoundByKey::with_capacity(rows.len());
    for (key, balance, held) in rows {
        let group = groups.binary_search_by(|group| group.key.cmp(&key)).ok().and_then(|index| groups.get(index));
        let enough = group.is_some_and(|group| balance >= group.least());
        match (held, enough) {
            (true, _) => drop(found.insert(key, Found::Held(balance))),
            (false, false) => drop(found.insert(key, Found::Seen(balance))),
            // It was to be locked. If it was, another row says so.
            (false, true) => drop(found.entry(key).or_insert(Found::Busy)),
        }
    }
    Ok(found)
}

/// Locks the balances, lets the spends of each group come one after another, and writes what is left, in one transaction.
/// Returns the balances from before.
pub(super) fn replay(
    connection: &mut PgConnection,
    lock: Lock,
    groups: &[Group],
    moment: &Moment,
) -> QueryResult<FoundByKey> {
    connection.transaction(|connection| {
        let keys: Vec<_> = groups.iter().map(|group| &group.key).collect();
        let rows = credits::table.filter(credits::key_id.eq_any(keys)).order(credits::key_id).for_update();
        let rows: Vec<Credits> = match lock {
            Lock::Wait => rows.select(Credits::as_select()).load(connection)?,
            Lock::Skip => rows.skip_locked().select(Credits::as_select()).load(connection)?,
        };
        let balances: HashMap<KeyId, i64> =
            rows.into_iter().map(|row| (row.key_id.clone(), row.at(moment.now))).collect();
        let (mut keys, mut left) = (Vec::new(), Vec::new());
        let mut found = FoundByKey::new();
        for group in groups {
            if let Some(balance) = balances.get(&group.key).copied() {
                found.insert(group.key.clone(), Found::Held(balance));
                if group.left_of(balance) != balance {
                    keys.push(group.key.as_str());
                    left.push(group.left_of(balance));
                }
            } else if lock == Lock::Skip {
                found.insert(group.key.clone(), Found::Busy);
            }
        }
        if !keys.is_empty() {
            Leave { keys, left, now: moment.now }.execute(connection)?;
        }
        Ok(found)
    })
}

/// See [`take`]. A balance that does not suffice for the least cost is neither locked nor written: an exhausted key that is
/// hammered costs a read. The others are locked in the order of the keys, and judged by what they are under the lock.
struct Take<'a> {
    keys: Vec<&'a str>,
    totals: Vec<i64>,
    least: Vec<i64>,
    moment: &'a Moment,
    lock: Lock,
}

/// Parameters are numbered as they are first pushed: $4 is the calendar, $5 the moment.
impl QueryFragment<Pg> for Take<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH asked AS (SELECT * FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.totals)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.least)?;
        out.push_sql(
            ") AS a (key_id, total, least)), \
             seen AS MATERIALIZED (SELECT a.key_id, a.total, a.least, \
                CASE WHEN c.refill_amount IS NOT NULL AND c.refilled_at < (",
        );
        out.push_bind_param::<Array<Timestamptz>, _>(self.moment.due.moments())?;
        out.push_sql(
            ")[coalesce(c.refill_day, 0) + 1] THEN greatest(c.remaining, c.refill_amount) ELSE c.remaining END AS balance \
                FROM asked a JOIN credits c ON c.key_id = a.key_id), \
             held AS MATERIALIZED (SELECT s.key_id, s.total, c.refilled_at, \
                CASE WHEN c.refill_amount IS NOT NULL AND c.refilled_at < ($4)[coalesce(c.refill_day, 0) + 1] \
                    THEN greatest(c.remaining, c.refill_amount) ELSE c.remaining END AS balance \
                FROM seen s JOIN credits c ON c.key_id = s.key_id \
                WHERE s.balance >= s.least ORDER BY c.key_id FOR UPDATE OF c",
        );
        out.push_sql(match self.lock {
            Lock::Wait => "",
            Lock::Skip => " SKIP LOCKED",
        });
        out.push_sql(
            "), taken AS (UPDATE credits c SET remaining = h.balance - h.total, refilled_at = greatest(h.refilled_at, ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.moment.now)?;
        out.push_sql(
            ") FROM held h WHERE c.key_id = h.key_id AND h.balance >= h.total) \
             SELECT key_id, balance, true FROM held UNION ALL SELECT key_id, balance, false FROM seen",
        );
        out.push_sql(match self.lock {
            // A row that was to be locked and is not held was deleted while its lock was waited for.
            Lock::Wait => " WHERE balance < least",
            Lock::Skip => "",
        });
        Ok(())
    }
}

impl Query for Take<'_> {
    type SqlType = (Text, BigInt, Bool);
}

impl QueryId for Take<'_> {
    type QueryId = ();
    // Diesel then keeps the prepared statement by its text, of which there are two.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<PgConnection> for Take<'_> {}

/// Writes balances of rows that are locked.
struct Leave<'a> {
    keys: Vec<&'a str>,
    left: Vec<i64>,
    now: Timestamp,
}

impl QueryFragment<Pg> for Leave<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE credits c SET remaining = l.remaining, refilled_at = greatest(c.refilled_at, ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(") FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.left)?;
        out.push_sql(") AS l (key_id, remaining) WHERE c.key_id = l.key_id");
        Ok(())
    }
}

impl QueryId for Leave<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<PgConnection> for Leave<'_> {}
