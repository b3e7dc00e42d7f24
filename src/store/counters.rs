//! Counters of limiters in memory, as they outlive the process.

use crate::limiter::Counter;
use crate::limiter::memory::Stored;
use crate::limiter::window::MAX_DURATION_MS;
use crate::limiter::window::Window;
use crate::model::clock::Timestamp;
use crate::model::schema::counters;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Bytea;
use diesel::sql_types::Timestamptz;

/// Writes counters, each once. Of two states of a counter the one of the later window stays, of one window the greater counts:
/// several nodes may write, and what was counted is not forgotten.
///
/// # Errors
/// Whatever the database says.
pub fn save(tx: &mut Tx<'_>, stored: &[Stored]) -> QueryResult<usize> {
    let mut rows: Vec<_> = stored.iter().collect();
    // In one order for all nodes: they do not wait for each other in a circle.
    rows.sort_unstable_by_key(|row| row.counter);
    let column = |value: fn(&Stored) -> u64| rows.iter().map(|row| signed(value(row))).collect::<Vec<_>>();
    diesel::sql_query(
        "INSERT INTO counters AS old (counter, duration_ms, sequence, current, previous, worthless_at) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (counter) DO UPDATE SET \
             current = CASE WHEN excluded.sequence > old.sequence THEN excluded.current ELSE greatest(excluded.current, old.current) END, \
             previous = CASE WHEN excluded.sequence > old.sequence THEN excluded.previous ELSE greatest(excluded.previous, old.previous) END, \
             sequence = excluded.sequence, worthless_at = excluded.worthless_at \
         WHERE excluded.sequence > old.sequence OR excluded.sequence = old.sequence \
             AND (excluded.current > old.current OR excluded.previous > old.previous)",
    )
    .bind::<Array<Bytea>, _>(rows.iter().map(|row| row.counter.as_bytes().as_slice()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(|row| row.duration_ms.min(MAX_DURATION_MS)))
    .bind::<Array<BigInt>, _>(column(|row| row.window.sequence))
    .bind::<Array<BigInt>, _>(column(|row| row.window.current))
    .bind::<Array<BigInt>, _>(column(|row| row.window.previous))
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| worthless_at(row)).collect::<Vec<_>>())
    .execute(tx.connection)
}

/// The next counters that still count, `most` at most, in the order of their names.
///
/// # Errors
/// Whatever the database says.
pub fn after(tx: &mut Tx<'_>, last: Option<Counter>, most: i64) -> QueryResult<Vec<Stored>> {
    type Row = (Vec<u8>, i64, i64, i64, i64);
    let begin = last.map_or(Vec::new(), |counter| counter.as_bytes().to_vec());
    let rows: Vec<Row> = counters::table
        .filter(counters::counter.gt(begin))
        .filter(counters::worthless_at.gt(tx.now()))
        .order(counters::counter)
        .limit(most)
        .select((counters::counter, counters::duration_ms, counters::sequence, counters::current, counters::previous))
        .load(tx.connection)?;
    let stored = |(counter, duration_ms, sequence, current, previous): Row| {
        let counter: [u8; 32] = counter.try_into().ok()?;
        let window = Window { sequence: unsigned(sequence), current: unsigned(current), previous: unsigned(previous) };
        Some(Stored { counter: Counter::from_bytes(counter), duration_ms: unsigned(duration_ms), window })
    };
    Ok(rows.into_iter().filter_map(stored).collect())
}

/// Deletes counters of which nothing counted any more at `until`, `most` at most; how many those were. Rows that another node
/// is writing or deleting are left.
///
/// # Errors
/// Whatever the database says.
pub fn delete_worthless(tx: &mut Tx<'_>, until: Timestamp, most: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "DELETE FROM counters WHERE counter = ANY (ARRAY( \
             SELECT counter FROM counters WHERE worthless_at < $1 ORDER BY worthless_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    )
    .bind::<Timestamptz, _>(until)
    .bind::<BigInt, _>(most)
    .execute(tx.connection)
}

fn worthless_at(row: &Stored) -> Timestamp {
    let ms = signed(row.window.worthless_ms(row.duration_ms));
    Timestamp::from_timestamp_millis(ms).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
