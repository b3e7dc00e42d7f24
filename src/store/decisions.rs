//! Records of denials: written in batches, found by any of their requests.

use crate::model::clock::Timestamp;
use crate::model::decision::CredentialType;
use crate::model::decision::Decision;
use crate::model::id::RequestId;
use crate::model::id::WorkspaceId;
use crate::model::schema::decision_requests;
use crate::model::schema::decisions;
use crate::store::tx::MAX_ROWS;
use crate::store::tx::Tx;
use chrono::DateTime;
use diesel::BoolExpressionMethods;
use diesel::ExpressionMethods;
use diesel::OptionalExtension;
use diesel::PgArrayExpressionMethods;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::prelude::Insertable;
use diesel::result::Error;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;
use std::collections::BTreeMap;
use std::collections::HashSet;

/// How often a record was repeated, as far as is known now.
#[derive(Clone, Debug)]
pub struct Repeated {
    /// The record: its first request.
    pub decision: RequestId,
    /// When that was decided.
    pub at: Timestamp,
    /// When the last one was.
    pub last_at: Timestamp,
    /// How many there were.
    pub count: i64,
    /// Requests that the record does not know yet.
    pub requests: Vec<RequestId>,
}

/// Which records are asked for; all of these must hold.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the columns of decisions")]
pub struct Filter {
    pub key_id: Option<String>,
    pub external_id: Option<String>,
    pub root_key_id: Option<String>,
    pub operation: Option<String>,
    pub code: Option<String>,
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The first moment that is not asked for any more.
    pub to: Option<Timestamp>,
}

/// Where a page begins: newest first, so at or before this.
pub type Place = (Timestamp, String);

/// Stores records; answers which of them were not stored before, by their first requests.
///
/// # Errors
/// Whatever the database says.
pub fn insert(tx: &mut Tx<'_>, records: &[Decision]) -> QueryResult<HashSet<RequestId>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        request_id: RequestId,
    }
    let mut inserted = HashSet::new();
    for records in records.chunks(MAX_ROWS) {
        let json =
            |record: &Decision| serde_json::to_string(record).map_err(|error| Error::SerializationError(error.into()));
        let texts = |text: fn(&Decision) -> Option<&str>| records.iter().map(text).collect::<Vec<_>>();
        let moments = |ms: fn(&Decision) -> i64| {
            records
                .iter()
                .map(|record| DateTime::from_timestamp_millis(ms(record)).unwrap_or_default())
                .collect::<Vec<_>>()
        };
        let rows: Vec<Row> = diesel::sql_query(
            "INSERT INTO decisions (request_id, at, last_at, count, workspace_id, operation, code, root_key_id, key_id, \
             external_id, record) \
             SELECT request_id, at, last_at, count, workspace_id, operation, code, root_key_id, key_id, external_id, \
             record::json \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS row (request_id, at, last_at, count, workspace_id, \
             operation, code, root_key_id, key_id, external_id, record) \
             ON CONFLICT (request_id, at) DO NOTHING RETURNING request_id",
        )
        .bind::<Array<Nullable<Text>>, _>(texts(|record| Some(record.request_id.as_str())))
        .bind::<Array<Timestamptz>, _>(moments(|record| record.time))
        .bind::<Array<Timestamptz>, _>(moments(|record| record.last_time))
        .bind::<Array<BigInt>, _>(records.iter().map(|record| record.count).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(texts(|record| {
            record.description.principal.workspace_id.as_ref().map(|id| id.as_str())
        }))
        .bind::<Array<Nullable<Text>>, _>(texts(|record| Some(&record.operation)))
        .bind::<Array<Nullable<Text>>, _>(texts(|record| Some(&record.description.code)))
        .bind::<Array<Nullable<Text>>, _>(texts(root_key))
        .bind::<Array<Nullable<Text>>, _>(texts(|record| credential(record, CredentialType::Key)))
        .bind::<Array<Nullable<Text>>, _>(texts(|record| {
            record.description.principal.owner.as_ref().map(|owner| owner.external_id.as_str())
        }))
        .bind::<Array<Text>, _>(records.iter().map(json).collect::<QueryResult<Vec<_>>>()?)
        .load(tx.connection)?;
        inserted.extend(rows.into_iter().map(|row| row.request_id));
    }
    Ok(inserted)
}

fn root_key(record: &Decision) -> Option<&str> {
    record
        .caller
        .as_ref()
        .map_or_else(|| credential(record, CredentialType::RootKey), |caller| Some(caller.id.as_str()))
}

fn credential(record: &Decision, kind: CredentialType) -> Option<&str> {
    let credential = &record.description.credential;
    credential.id.as_deref().filter(|_| credential.r#type == kind)
}

/// Writes how often records were repeated, and by which requests. Writing it twice is writing it once.
///
/// # Errors
/// Whatever the database says.
pub fn repeat(tx: &mut Tx<'_>, repeated: &[Repeated]) -> QueryResult<()> {
    for repeated in repeated.chunks(MAX_ROWS) {
        diesel::sql_query(
            "UPDATE decisions SET count = greatest(decisions.count, row.count), last_at = greatest(decisions.last_at, row.last_at) \
             FROM unnest($1, $2, $3, $4) AS row (request_id, at, last_at, count) \
             WHERE decisions.request_id = row.request_id AND decisions.at = row.at",
        )
        .bind::<Array<Text>, _>(repeated.iter().map(|one| one.decision.as_str()).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(repeated.iter().map(|one| one.at).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(repeated.iter().map(|one| one.last_at).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(repeated.iter().map(|one| one.count).collect::<Vec<_>>())
        .execute(tx.connection)?;
    }
    let named: Vec<_> = repeated.iter().flat_map(named).collect();
    for named in named.chunks(MAX_ROWS) {
        diesel::insert_into(decision_requests::table).values(named).on_conflict_do_nothing().execute(tx.connection)?;
    }
    Ok(())
}

#[derive(Insertable)]
#[diesel(table_name = decision_requests)]
struct Named<'a> {
    second: i64,
    request_ids: Vec<&'a str>,
    first_request_id: &'a str,
    at: Timestamp,
    decision_id: &'a RequestId,
}

/// The requests of a record by the second that they began in.
fn named(repeated: &Repeated) -> impl Iterator<Item = Named<'_>> {
    let mut seconds: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for request in &repeated.requests {
        seconds.entry(second(request)).or_default().push(request.as_str());
    }
    seconds.into_iter().filter_map(|(second, request_ids)| {
        let first_request_id = request_ids.first().copied()?;
        Some(Named { second, request_ids, first_request_id, at: repeated.at, decision_id: &repeated.decision })
    })
}

/// When a request began, by its id. What has not the form of one was never a request.
fn second(request: &RequestId) -> i64 {
    request.made_ms().map_or(0, |ms| ms.div_euclid(1000))
}

type Row = (Timestamp, i64, Decision);

/// The record of a request; of a workspace, or of any and none for the operator.
///
/// # Errors
/// Whatever the database says. A record that cannot be read is a fault.
pub fn find(tx: &mut Tx<'_>, workspace: Option<&WorkspaceId>, request: &RequestId) -> QueryResult<Option<Decision>> {
    // Each partition has an index that begins with the second, and no clock is trusted but that of the ids themselves.
    let other: Option<(RequestId, Timestamp)> = decision_requests::table
        .filter(decision_requests::second.eq(second(request)))
        .filter(decision_requests::request_ids.contains(vec![request.as_str()]))
        .select((decision_requests::decision_id, decision_requests::at))
        .first(tx.connection)
        .optional()?;
    let mut query = decisions::table
        .select((decisions::last_at, decisions::count, decisions::record))
        .order(decisions::at)
        .into_boxed();
    query = match &other {
        Some((decision, at)) => query.filter(decisions::request_id.eq(decision)).filter(decisions::at.eq(at)),
        None => query.filter(decisions::request_id.eq(request)),
    };
    if let Some(workspace) = workspace {
        query = query.filter(decisions::workspace_id.eq(workspace));
    }
    Ok(query.first::<Row>(tx.connection).optional()?.map(read))
}

/// A page of a workspace's records, newest first.
///
/// # Errors
/// As [`find`].
pub fn page(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    filter: &Filter,
    begin: Option<&Place>,
    most: i64,
) -> QueryResult<Vec<Decision>> {
    let mut query = decisions::table
        .filter(decisions::workspace_id.eq(workspace))
        .select((decisions::last_at, decisions::count, decisions::record))
        .order((decisions::at.desc(), decisions::request_id.desc()))
        .limit(most)
        .into_boxed();
    if let Some((at, request)) = begin {
        let same = decisions::at.eq(at).and(decisions::request_id.le(request));
        query = query.filter(decisions::at.le(at)).filter(decisions::at.lt(at).or(same));
    }
    if let Some(key) = &filter.key_id {
        query = query.filter(decisions::key_id.eq(key));
    }
    if let Some(owner) = &filter.external_id {
        query = query.filter(decisions::external_id.eq(owner));
    }
    if let Some(root_key) = &filter.root_key_id {
        query = query.filter(decisions::root_key_id.eq(root_key));
    }
    if let Some(operation) = &filter.operation {
        query = query.filter(decisions::operation.eq(operation));
    }
    if let Some(code) = &filter.code {
        query = query.filter(decisions::code.eq(code));
    }
    if let Some(from) = filter.from {
        query = query.filter(decisions::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(decisions::at.lt(to));
    }
    Ok(query.load::<Row>(tx.connection)?.into_iter().map(read).collect())
}

/// How often it was repeated stands beside the record.
fn read((last_at, count, record): Row) -> Decision {
    Decision { last_time: last_at.timestamp_millis(), count, ..record }
}
