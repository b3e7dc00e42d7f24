//! Servers on this database, by the database's own clock.

use crate::model::id::NodeId;
use crate::model::schema::nodes;
use crate::store::tx::Tx;
use diesel::QueryDsl;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;
use diesel::sql_types::Text;

/// Says that a server lives; how many others do. One that was not seen since this one began may be dead: it does not count.
///
/// # Errors
/// Whatever the database says.
pub fn beat(tx: &mut Tx<'_>, id: &NodeId, version: &str, limiter: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Others {
        #[diesel(sql_type = BigInt)]
        others: i64,
    }
    diesel::sql_query(
        "INSERT INTO nodes (id, version, limiter, started_at, seen_at) \
         VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp()) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
    )
    .bind::<Text, _>(id)
    .bind::<Text, _>(version)
    .bind::<Text, _>(limiter)
    .execute(tx.connection)?;
    let counted: Others = diesel::sql_query(
        "SELECT count(*) AS others FROM nodes AS other JOIN nodes AS self ON self.id = $1 AND other.id <> self.id \
         WHERE other.seen_at > greatest(self.started_at, clock_timestamp() - interval '10 seconds')",
    )
    .bind::<Text, _>(id)
    .get_result(tx.connection)?;
    Ok(counted.others)
}

/// A server has ended.
///
/// # Errors
/// Whatever the database says.
pub fn delete(tx: &mut Tx<'_>, id: &NodeId) -> QueryResult<usize> {
    diesel::delete(nodes::table.find(id)).execute(tx.connection)
}

/// Deletes servers that died an hour ago or longer.
///
/// # Errors
/// Whatever the database says.
pub fn delete_dead(tx: &mut Tx<'_>) -> QueryResult<usize> {
    diesel::sql_query("DELETE FROM nodes WHERE seen_at < clock_timestamp() - interval '1 hour'").execute(tx.connection)
}

/// Where the servers that live count rate limits: `memory` or `redis`, one for each.
///
/// # Errors
/// Whatever the database says.
pub fn limiters(tx: &mut Tx<'_>) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Live {
        #[diesel(sql_type = Text)]
        limiter: String,
    }
    let live: Vec<Live> = diesel::sql_query(
        "SELECT limiter FROM nodes WHERE seen_at > clock_timestamp() - interval '10 seconds' ORDER BY id",
    )
    .load(tx.connection)?;
    Ok(live.into_iter().map(|node| node.limiter).collect())
}
