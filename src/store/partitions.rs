//! Upkeep of the tables of usage and decisions: partitions made ahead of their days and dropped after them, old sums deleted.

use crate::model::clock::Timestamp;
use crate::model::usage::Interval;
use crate::model::usage::Retention;
use crate::model::usage::kept_from;
use crate::store::tx::Tx;
use chrono::Datelike;
use chrono::NaiveDate;
use chrono::NaiveTime;
use diesel::IntoSql;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::dsl::now;
use diesel::sql_types::BigInt;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

/// Number of the advisory lock: the letters KWUSAGE as hexadecimal ASCII.
const LOCK: i64 = 0x004B_5755_5341_4745;
/// Days that have a partition from the current one on.
const AHEAD: u32 = 3;
/// Partitions that one run drops at most.
const MAX_DROPS: usize = 32;
/// Rows that one run deletes of a table at most.
const MAX_DELETES: i64 = 10_000;
/// Days after which a process that wrote nothing is forgotten: no answer is lost for so long.
const WRITER_DAYS: i64 = 7;
/// A table that is partitioned by days. A partition's name is that of the table, an underscore, and the day.
type Table = &'static str;

/// What is looked after in a transaction of its own: nobody waits for one table because another one is being looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Single verifications.
    Verifications,
    /// Denials.
    Decisions,
    /// Further requests of denials.
    DecisionRequests,
    /// Sums of verifications, and who writes them.
    Sums,
}

impl Records {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Verifications, Self::Decisions, Self::DecisionRequests, Self::Sums];
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// Everything there was to do.
    All,
    /// A part: another run finds more.
    Part,
    /// Nothing: another node is at it.
    Elsewhere,
}

/// Makes partitions for the days to come, and removes what is older than it is to be kept. One node at a time, and only as
/// far as nobody has to wait for it: whoever writes holds it up, not the other way round.
///
/// What is old is decided by this node's clock or the database's, whichever is behind: a clock that runs ahead must not
/// delete.
///
/// # Errors
/// Whatever the database says, a lock that could not be had in time included.
pub fn maintain(tx: &mut Tx<'_>, records: Records, retention: Retention) -> QueryResult<Ran> {
    if !tx.locks(LOCK)? {
        return Ok(Ran::Elsewhere);
    }
    tx.connection.batch_execute("SET LOCAL lock_timeout = 200")?;
    let database: Timestamp = diesel::select(now.into_sql::<Timestamptz>()).get_result(tx.connection)?;
    let oldest = tx.now().min(database);
    let more = match records {
        Records::Verifications => partition(tx, "verifications", kept_from(oldest, retention.events_days))?,
        Records::Decisions => partition(tx, "decisions", kept_from(oldest, retention.decisions_days))?,
        Records::DecisionRequests => partition(tx, "decision_requests", kept_from(oldest, retention.decisions_days))?,
        Records::Sums => sums(tx, oldest, retention)?,
    };
    Ok(if more { Ran::Part } else { Ran::All })
}

/// True if there may be more.
fn sums(tx: &mut Tx<'_>, oldest: Timestamp, retention: Retention) -> QueryResult<bool> {
    let mut more = delete(tx, "usage_hourly", kept_from(oldest, retention.hourly_days))?;
    if let Some(days) = retention.daily_days {
        more |= delete(tx, "usage_daily", kept_from(oldest, days))?;
    }
    diesel::sql_query("DELETE FROM event_writers WHERE at < now() - $1 * interval '1 day'")
        .bind::<BigInt, _>(WRITER_DAYS)
        .execute(tx.connection)?;
    Ok(more)
}

/// Makes the partitions of a table and drops those that are over; true if there are more.
fn partition(tx: &mut Tx<'_>, table: Table, kept: Timestamp) -> QueryResult<bool> {
    let known = partitions(tx, table)?;
    let today = tx.now().date_naive();
    for day in today.iter_days().take(usize::try_from(AHEAD).unwrap_or(1)).filter(|day| !known.contains(day)) {
        create(tx, table, day)?;
    }
    let over: Vec<_> = known.into_iter().filter(|day| end(*day).is_some_and(|end| end <= kept)).collect();
    for day in over.iter().take(MAX_DROPS) {
        tx.connection.batch_execute(&format!("DROP TABLE {}", name(table, *day)))?;
    }
    let more = delete(tx, &format!("{table}_default"), kept)?;
    Ok(more || over.len() > MAX_DROPS)
}

/// Days that have a partition.
fn partitions(tx: &mut Tx<'_>, table: Table) -> QueryResult<Vec<NaiveDate>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT child.relname::text AS name FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid \
         WHERE inhparent = $1::regclass ORDER BY 1",
    )
    .bind::<Text, _>(table)
    .load(tx.connection)?;
    Ok(rows.iter().filter_map(|row| day(table, &row.name)).collect())
}

/// A table beside the others, then a partition: this locks neither readers nor writers of the other days out. What came
/// before its day had a partition moves into it.
fn create(tx: &mut Tx<'_>, table: Table, day: NaiveDate) -> QueryResult<()> {
    let Some(end) = end(day) else { return Ok(()) };
    let (name, start, end) = (name(table, day), literal(start(day)), literal(end));
    tx.connection.batch_execute(&format!(
        "CREATE TABLE {name} (LIKE {table} INCLUDING ALL); \
         LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE; \
         WITH moved AS (DELETE FROM {table}_default WHERE at >= {start} AND at < {end} RETURNING *) \
         INSERT INTO {name} SELECT * FROM moved; \
         ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"
    ))
}

/// True if there may be more.
fn delete(tx: &mut Tx<'_>, table: &str, before: Timestamp) -> QueryResult<bool> {
    let deleted = diesel::sql_query(format!(
        "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE at < $1 LIMIT $2))"
    ))
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(MAX_DELETES)
    .execute(tx.connection)?;
    Ok(i64::try_from(deleted).is_ok_and(|deleted| deleted >= MAX_DELETES))
}

fn name(table: Table, day: NaiveDate) -> String {
    format!("{table}_{}", day.format("%Y%m%d"))
}

fn day(table: Table, name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name.strip_prefix(table)?.strip_prefix('_')?, "%Y%m%d").ok()
}

fn start(day: NaiveDate) -> Timestamp {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// `None` for days that a name cannot be told by.
fn end(day: NaiveDate) -> Option<Timestamp> {
    (1..=9999).contains(&day.year()).then(|| Interval::Day.next(start(day)))
}

fn literal(at: Timestamp) -> String {
    format!("'{}'", at.format("%Y-%m-%d %H:%M:%S+00"))
}

#[cfg(test)]
mod tests {
    use super::day;
    use super::end;
    use super::literal;
    use super::name;
    use super::start;
    use chrono::NaiveDate;

    #[test]
    fn a_partition_is_told_by_its_name() {
        let new_years_eve = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap();
        assert_eq!(name("verifications", new_years_eve), "verifications_20261231");
        assert_eq!(day("verifications", "verifications_20261231"), Some(new_years_eve));
        assert_eq!(day("verifications", "verifications_default"), None);
        assert_eq!(literal(start(new_years_eve)), "'2026-12-31 00:00:00+00'");
        assert_eq!(literal(end(new_years_eve).unwrap()), "'2027-01-01 00:00:00+00'");
    }
}
