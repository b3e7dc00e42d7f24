//! The chain of the audit log: rows get their places and hashes a moment after they were written, and go when they are old.

use crate::model::audit::Changed;
use crate::model::audit::FieldValue;
use crate::model::audit::row::ChainHash;
use crate::model::audit::row::SealedRow;
use crate::model::clock::Timestamp;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::model::id::WorkspaceId;
use crate::model::origin::Actor;
use crate::model::origin::Event;
use crate::model::origin::Origin;
use crate::model::origin::Resource;
use crate::model::schema::audit_heads;
use crate::model::schema::audit_log;
use crate::store::audit_log as log;
use crate::store::audit_log::Stored;
use crate::store::audit_log::stored;
use crate::store::tx::AuditEvent;
use crate::store::tx::Tx;
use diesel::ExpressionMethods;
use diesel::IntoSql;
use diesel::NullableExpressionMethods;
use diesel::OptionalExtension;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Binary;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Number of the advisory lock: the letters KWAUDIT as hexadecimal ASCII.
const LOCK: i64 = 0x004B_5741_5544_4954;
/// Unsealed rows that are counted at most.
const MOST_COUNTED: i64 = 10_000;
/// Field of a checkpoint: place of the last row that was dropped.
const DROPPED_SEQUENCE: &str = "droppedSequence";
/// Field of a checkpoint: its hash.
const DROPPED_HASH: &str = "droppedHash";

/// What waits to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct Waiting {
    /// Rows; more than 10,000 are not counted.
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
    /// When the oldest happened.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub since: Option<Timestamp>,
}

/// What one run of the sealer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Rows that were looked at.
    pub looked_at: usize,
    /// Workspaces with a row that no Keyward of this version has written: their chains wait.
    pub unreadable: BTreeSet<WorkspaceId>,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Place of the last sealed row, 0 before the first one.
    pub sequence: i64,
    /// Its hash.
    pub hash: ChainHash,
}

impl Head {
    const START: Self = Self { sequence: 0, hash: ChainHash::START };
}

/// Says, in a sealed row, up to where a chain was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Place of the row that says so.
    pub sequence: i64,
    /// When it was written.
    pub at: Timestamp,
    /// The last dropped row.
    pub dropped: Head,
}

/// What waits to be sealed. One look into an index that is empty most of the time.
///
/// # Errors
/// Whatever the database says.
pub fn waiting(tx: &mut Tx<'_>) -> QueryResult<Waiting> {
    diesel::sql_query(
        "SELECT count(*) AS rows, min(at) AS since \
         FROM (SELECT at FROM audit_log WHERE sequence IS NULL ORDER BY id LIMIT $1) AS unsealed",
    )
    .bind::<BigInt, _>(MOST_COUNTED)
    .get_result(tx.connection)
}

/// Seals the oldest rows, `most` of them; nothing if another node is at it. Whoever writes rows waits for nobody here.
///
/// # Errors
/// Whatever the database says; then nothing is sealed.
pub fn seal(tx: &mut Tx<'_>, most: i64) -> Result<Sealed> {
    if !tx.locks(LOCK)? {
        return Ok(Sealed::default());
    }
    let rows: Vec<Stored> =
        stored!().filter(audit_log::sequence.is_null()).order(audit_log::id).limit(most).load(tx.connection)?;
    seal_rows(tx, rows)
}

/// Drops the oldest rows of a workspace that are older than `cutoff`, `most` of them, up to the first one that is not; says
/// whether there may be more. A sealed row takes their place: it names the last one, so that what is left can be verified.
///
/// # Errors
/// Whatever the database says; then nothing is dropped.
pub fn prune(tx: &mut Tx<'_>, workspace: &WorkspaceId, cutoff: Timestamp, days: u32, most: i64) -> Result<bool> {
    // Waits for the sealer, whose transactions are short.
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(LOCK).execute(tx.connection)?;
    let Some((from, last)) = droppable(tx, workspace, cutoff, most)? else { return Ok(false) };
    let origin = Origin::local(Actor::System);
    let display = format!("dropped rows {from} to {} of the audit log, which is kept for {days} days", last.sequence);
    let resources = vec![Resource::new("workspace", workspace, None)];
    let changed = Changed::of(workspace).nullable(DROPPED_HASH, &None, Some(&Some(last.hash.to_string()))).nullable(
        DROPPED_SEQUENCE,
        &None,
        Some(&Some(last.sequence)),
    );
    let event = AuditEvent::new(workspace, Event::AuditLogPrune, display, resources).changing(changed);
    let at = tx.now();
    log::insert(tx.connection, &origin, at, &[event.into()])?;
    let checkpoint: Vec<Stored> =
        stored!().filter(audit_log::correlation_id.eq(origin.request_id.as_str())).load(tx.connection)?;
    let sealed = seal_rows(tx, checkpoint)?;
    if sealed.looked_at != 1 || !sealed.unreadable.is_empty() {
        return Err(Error::unexpected("the checkpoint of the audit log could not be sealed"));
    }
    diesel::delete(
        audit_log::table.filter(audit_log::workspace_id.eq(workspace)).filter(audit_log::sequence.le(last.sequence)),
    )
    .execute(tx.connection)?;
    Ok(last.sequence >= from.saturating_add(most).saturating_sub(1))
}

/// The next workspace after `after` that has sealed rows from before `cutoff`.
///
/// # Errors
/// Whatever the database says.
pub fn next_with_older(tx: &mut Tx<'_>, after: &str, cutoff: Timestamp) -> QueryResult<Option<WorkspaceId>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        workspace_id: WorkspaceId,
    }
    let row: Option<Row> = diesel::sql_query(
        "SELECT workspace_id FROM audit_heads head WHERE workspace_id > $1 AND EXISTS (SELECT FROM audit_log log \
         WHERE log.workspace_id = head.workspace_id AND log.at < $2 AND log.sequence IS NOT NULL) \
         ORDER BY workspace_id LIMIT 1",
    )
    .bind::<Text, _>(after)
    .bind::<Timestamptz, _>(cutoff)
    .get_result(tx.connection)
    .optional()?;
    Ok(row.map(|row| row.workspace_id))
}

/// The database's own time.
///
/// # Errors
/// Whatever the database says.
pub fn database_time(tx: &mut Tx<'_>) -> QueryResult<Timestamp> {
    diesel::select(diesel::dsl::now.into_sql::<Timestamptz>()).get_result(tx.connection)
}

/// The end of a workspace's chain; `None` if nothing of it was sealed yet.
///
/// # Errors
/// Whatever the database says.
pub fn head(tx: &mut Tx<'_>, workspace: &WorkspaceId) -> Result<Option<Head>> {
    let row: Option<(i64, Vec<u8>)> = audit_heads::table
        .find(workspace)
        .select((audit_heads::sequence, audit_heads::hash))
        .first(tx.connection)
        .optional()?;
    row.map(|(sequence, hash)| Ok(Head { sequence, hash: chain_hash(&hash)? })).transpose()
}

/// How many rows of a workspace wait to be sealed.
///
/// # Errors
/// Whatever the database says.
pub fn unsealed(tx: &mut Tx<'_>, workspace: &WorkspaceId) -> QueryResult<i64> {
    audit_log::table
        .filter(audit_log::workspace_id.eq(workspace))
        .filter(audit_log::sequence.is_null())
        .count()
        .get_result(tx.connection)
}

/// How many rows of a workspace are sealed.
///
/// # Errors
/// Whatever the database says.
pub fn sealed(tx: &mut Tx<'_>, workspace: &WorkspaceId) -> QueryResult<i64> {
    audit_log::table
        .filter(audit_log::workspace_id.eq(workspace))
        .filter(audit_log::sequence.is_not_null())
        .count()
        .get_result(tx.connection)
}

/// A page of a workspace's sealed rows after a place of the chain, as they are stored.
///
/// # Errors
/// Whatever the database says.
pub fn page(tx: &mut Tx<'_>, workspace: &WorkspaceId, after: i64, limit: i64) -> QueryResult<Vec<Stored>> {
    stored!()
        .filter(audit_log::workspace_id.eq(workspace))
        .filter(audit_log::sequence.gt(after))
        .order(audit_log::sequence)
        .limit(limit)
        .load(tx.connection)
}

/// The checkpoint that says that a chain was dropped up to this place.
///
/// # Errors
/// Whatever the database says.
pub fn checkpoint(tx: &mut Tx<'_>, workspace: &WorkspaceId, dropped: i64) -> QueryResult<Option<Checkpoint>> {
    // The latest is the one, unless somebody was at work that should not have been.
    let row: Option<Stored> = stored!()
        .filter(audit_log::workspace_id.eq(workspace))
        .filter(audit_log::event.eq(Event::AuditLogPrune.name()))
        .filter(audit_log::sequence.gt(dropped))
        .order(audit_log::sequence.desc())
        .first(tx.connection)
        .optional()?;
    Ok(row
        .and_then(Stored::sealed)
        .and_then(|row| checkpoint_of(&row))
        .filter(|found| found.dropped.sequence == dropped))
}

fn checkpoint_of(SealedRow { row, sequence, .. }: &SealedRow) -> Option<Checkpoint> {
    let told =
        |field: &str| row.changes.iter().find(|change| change.field == field).and_then(|change| change.to.clone());
    let (Some(FieldValue::Number(dropped)), Some(FieldValue::Text(hash))) =
        (told(DROPPED_SEQUENCE), told(DROPPED_HASH))
    else {
        return None;
    };
    let dropped = Head { sequence: dropped, hash: ChainHash::parse(&hash)? };
    Some(Checkpoint { sequence: *sequence, at: row.at, dropped })
}

/// The first row of a chain, and the last one that can be dropped; `None` if nothing can, or checkpoints alone.
fn droppable(tx: &mut Tx<'_>, workspace: &WorkspaceId, cutoff: Timestamp, most: i64) -> Result<Option<(i64, Head)>> {
    let rows: Vec<(i64, Timestamp, String, Vec<u8>)> = audit_log::table
        .filter(audit_log::workspace_id.eq(workspace))
        .filter(audit_log::sequence.is_not_null())
        .order(audit_log::sequence)
        .limit(most)
        .select((
            audit_log::sequence.assume_not_null(),
            audit_log::at,
            audit_log::event,
            audit_log::hash.assume_not_null(),
        ))
        .load(tx.connection)?;
    let old: Vec<_> = rows.iter().take_while(|(_, at, _, _)| *at < cutoff).collect();
    if old.iter().all(|(_, _, event, _)| event == Event::AuditLogPrune.name()) {
        return Ok(None);
    }
    let (Some((from, ..)), Some((sequence, _, _, hash))) = (old.first(), old.last()) else { return Ok(None) };
    Ok(Some((*from, Head { sequence: *sequence, hash: chain_hash(hash)? })))
}

/// Seals these rows after what is sealed of their workspaces. Whoever calls holds the lock.
fn seal_rows(tx: &mut Tx<'_>, rows: Vec<Stored>) -> Result<Sealed> {
    let mut sealed = Sealed { looked_at: rows.len(), unreadable: BTreeSet::new() };
    if rows.is_empty() {
        return Ok(sealed);
    }
    let mut heads = heads_for_update(tx, &rows)?;
    let (mut ids, mut sequences, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    for stored in rows {
        let workspace = stored.workspace().clone();
        // Nothing overtakes a row that cannot be read: where it is to stand is not known.
        let Some(row) = stored.row().filter(|_| !sealed.unreadable.contains(&workspace)) else {
            sealed.unreadable.insert(workspace);
            continue;
        };
        let head = heads.entry(workspace).or_insert(Head::START);
        head.sequence = head.sequence.saturating_add(1);
        head.hash = row.hash(head.sequence, &head.hash).map_err(Error::unexpected)?;
        ids.push(row.id);
        sequences.push(head.sequence);
        hashes.push(head.hash);
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(ChainHash::as_bytes).collect();
    let written = diesel::sql_query(
        "UPDATE audit_log SET sequence = sealed.sequence, hash = sealed.hash \
         FROM unnest($1, $2, $3) AS sealed (id, sequence, hash) \
         WHERE audit_log.id = sealed.id AND audit_log.sequence IS NULL",
    )
    .bind::<Array<Text>, _>(&ids)
    .bind::<Array<BigInt>, _>(&sequences)
    .bind::<Array<Binary>, _>(hashes)
    .execute(tx.connection)?;
    if written != ids.len() {
        return Err(Error::unexpected("rows of the audit log changed while they were sealed"));
    }
    write_heads(tx, &heads)?;
    Ok(sealed)
}

fn heads_for_update(tx: &mut Tx<'_>, rows: &[Stored]) -> Result<BTreeMap<WorkspaceId, Head>> {
    let workspaces: BTreeSet<_> = rows.iter().map(Stored::workspace).collect();
    let heads: Vec<(WorkspaceId, i64, Vec<u8>)> = audit_heads::table
        .filter(audit_heads::workspace_id.eq_any(workspaces))
        .order(audit_heads::workspace_id)
        .select((audit_heads::workspace_id, audit_heads::sequence, audit_heads::hash))
        .for_update()
        .load(tx.connection)?;
    heads
        .into_iter()
        .map(|(workspace, sequence, hash)| Ok((workspace, Head { sequence, hash: chain_hash(&hash)? })))
        .collect()
}

fn write_heads(tx: &mut Tx<'_>, heads: &BTreeMap<WorkspaceId, Head>) -> QueryResult<()> {
    let now = tx.now();
    diesel::sql_query(
        "INSERT INTO audit_heads (workspace_id, sequence, hash, sealed_at) \
         SELECT workspace_id, sequence, hash, $1 FROM unnest($2, $3, $4) AS head (workspace_id, sequence, hash) \
         ON CONFLICT (workspace_id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, \
         sealed_at = excluded.sealed_at WHERE audit_heads.sequence < excluded.sequence",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Array<Text>, _>(heads.keys().collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(heads.values().map(|head| head.sequence).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(heads.values().map(|head| head.hash.as_bytes()).collect::<Vec<_>>())
    .execute(tx.connection)?;
    Ok(())
}

fn chain_hash(bytes: &[u8]) -> Result<ChainHash> {
    ChainHash::from_bytes(bytes).ok_or_else(|| Error::unexpected("a hash of the audit log does not have 32 bytes"))
}
