//! Migrations: embedded, forward only, one node at a time under an advisory lock.

use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Result;
use crate::store::tx::Tx;
use diesel::RunQueryDsl;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::pg::PgConnection;
use diesel::sql_types::BigInt;
use diesel_migrations::EmbeddedMigrations;
use diesel_migrations::MigrationHarness;
use diesel_migrations::embed_migrations;

/// The migrations of this version.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Number of the advisory lock: the letters KEYWARD as hexadecimal ASCII.
const LOCK: i64 = 0x004B_4559_5741_5244;

/// One migration, as `keyward migrate --list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
    /// Whether this version knows it.
    pub known: bool,
}

/// All migrations, those of the database that this version does not know included.
///
/// # Errors
/// Whatever the database says.
pub fn list(connection: &mut PgConnection) -> Result<Vec<Migration>> {
    let applied: Vec<String> =
        connection.applied_migrations().map_err(fault)?.iter().map(ToString::to_string).collect();
    let known: Vec<(String, String)> = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(fault)?
        .iter()
        .map(|migration| (migration.name().version().to_string(), migration.name().to_string()))
        .collect();
    let unknown = applied.iter().filter(|version| !known.iter().any(|(known, _)| known == *version));
    let mut list: Vec<_> = known
        .iter()
        .map(|(version, name)| Migration { name: name.clone(), applied: applied.contains(version), known: true })
        .chain(unknown.map(|version| Migration { name: version.clone(), applied: true, known: false }))
        .collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(list)
}

/// Applies what is pending; returns the names. Nodes that start together wait for each other. The connection is one of
/// its own, not the pool's: a long migration must not be cut off by the bound for requests.
///
/// # Errors
/// `precondition_failed` if the database is newer than this version, and whatever the database says.
pub fn run(connection: &mut PgConnection) -> Result<Vec<String>> {
    diesel::sql_query("SELECT pg_advisory_lock($1)").bind::<BigInt, _>(LOCK).execute(connection)?;
    let result = refuse_newer(connection).and_then(|()| {
        let applied = connection.run_pending_migrations(MIGRATIONS).map_err(fault)?;
        Ok(applied.iter().map(ToString::to_string).collect())
    });
    diesel::sql_query("SELECT pg_advisory_unlock($1)").bind::<BigInt, _>(LOCK).execute(connection)?;
    result
}

/// Refuses a database with migrations that this version does not know.
///
/// # Errors
/// `precondition_failed` naming them, and whatever the database says.
pub fn refuse_newer(connection: &mut PgConnection) -> Result<()> {
    let newer: Vec<_> = list(connection)?.into_iter().filter(|migration| !migration.known).map(|m| m.name).collect();
    if newer.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::PreconditionFailed,
        format!(
            "the database is newer than this version of keyward: it has the migrations {} that this version does not \
             know. Start the version that made them, or a later one.",
            newer.join(", ")
        ),
    ))
}

/// [`pending`] for a readiness check.
///
/// # Errors
/// Whatever the database says.
pub fn pending_in(tx: &mut Tx<'_>) -> Result<Vec<String>> {
    pending(tx.connection)
}

/// Names of pending migrations.
///
/// # Errors
/// Whatever the database says.
pub fn pending(connection: &mut PgConnection) -> Result<Vec<String>> {
    Ok(list(connection)?.into_iter().filter(|migration| !migration.applied).map(|migration| migration.name).collect())
}

fn fault(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    match source.downcast::<diesel::result::Error>() {
        Ok(error) => (*error).into(),
        Err(source) => Error::unexpected(source),
    }
}
