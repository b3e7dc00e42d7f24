//! Usage: sums of verifications by hour and by day.

use crate::model::clock::Timestamp;
use crate::model::id::ApiId;
use crate::model::id::KeyId;
use crate::model::id::WorkspaceId;
use crate::model::usage::Interval;
use crate::model::verdict::Outcome;
use crate::store::tx::Tx;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::sql_types::Array;
use diesel::sql_types::BigInt;
use diesel::sql_types::Nullable;
use diesel::sql_types::Text;
use diesel::sql_types::Timestamptz;

/// Which verifications count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those of keys of these APIs; `None` is any.
    pub apis: Option<Vec<ApiId>>,
    /// Only those of this key.
    pub key: Option<KeyId>,
    /// Only those of keys whose owner had this external id then.
    pub external_id: Option<String>,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
    /// Only those that carried all of these tags; empty is any.
    pub tags: Vec<String>,
}

/// A sum.
#[derive(Debug, QueryableByName)]
pub struct Sum {
    /// Start of the bucket.
    #[diesel(sql_type = Timestamptz)]
    pub start: Timestamp,
    /// The outcome's word.
    #[diesel(sql_type = Text)]
    pub outcome: String,
    /// Verifications.
    #[diesel(sql_type = BigInt)]
    pub count: i64,
    /// Credits that they took.
    #[diesel(sql_type = BigInt)]
    pub credits_spent: i64,
}

/// Sums by bucket and outcome of a workspace's verifications from one start of a bucket to another. Buckets and outcomes
/// without any are not there.
///
/// # Errors
/// Whatever the database says.
pub fn sums(
    tx: &mut Tx<'_>,
    workspace: &WorkspaceId,
    interval: Interval,
    [from, to]: [Timestamp; 2],
    filter: &Filter,
) -> QueryResult<Vec<Sum>> {
    let table = match interval {
        Interval::Hour => "usage_hourly",
        Interval::Day | Interval::Month => "usage_daily",
    };
    let apis = filter.apis.as_ref().map(|apis| apis.iter().map(ApiId::as_str).collect::<Vec<_>>());
    let tags = (!filter.tags.is_empty()).then_some(&filter.tags);
    diesel::sql_query(format!(
        "SELECT date_trunc('{}', at, 'UTC') AS start, outcome, sum(count)::bigint AS count, \
         LEAST(sum(credits_spent), 9223372036854775807)::bigint AS credits_spent FROM {table} \
         WHERE workspace_id = $1 AND at >= $2 AND at < $3 AND ($4 IS NULL OR api_id = ANY ($4)) \
         AND ($5 IS NULL OR key_id = $5) AND ($6 IS NULL OR external_id = $6) AND ($7 IS NULL OR outcome = $7) \
         AND ($8 IS NULL OR tags @> $8) GROUP BY 1, 2",
        interval.name()
    ))
    .bind::<Text, _>(workspace.as_str())
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .bind::<Nullable<Array<Text>>, _>(apis)
    .bind::<Nullable<Text>, _>(filter.key.as_ref().map(KeyId::as_str))
    .bind::<Nullable<Text>, _>(filter.external_id.as_deref())
    .bind::<Nullable<Text>, _>(filter.outcome.map(Outcome::code))
    .bind::<Nullable<Array<Text>>, _>(tags)
    .load(tx.connection)
}
