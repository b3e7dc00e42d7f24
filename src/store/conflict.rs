//! What a database error means: away, a lost race, a broken constraint by name, or a fault of Keyward.

use crate::model::error::Error;
use diesel::QueryResult;
use diesel::result::DatabaseErrorKind;
use diesel::result::Error as DieselError;

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        if is_away(&error) { Self::unavailable(error) } else { Self::unexpected(error) }
    }
}

/// Whether the database was not there, or did not answer in time, rather than saying no.
fn is_away(error: &DieselError) -> bool {
    // libpq reports most lost connections, and Postgres a shutdown, only by text: no SQLSTATE reaches diesel.
    const AWAY: [&str; 9] = [
        "server closed the connection",
        "terminating connection",
        "the database system is",
        "could not connect",
        "connection to server",
        "no connection to the server",
        "canceling statement due to statement timeout",
        "SSL connection has been closed",
        "could not receive data",
    ];
    if let DieselError::DatabaseError(kind, information) = error {
        return matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
            || AWAY.iter().any(|text| information.message().contains(text));
    }
    if let DieselError::RollbackErrorOnCommit { rollback_error, commit_error } = error {
        return is_away(rollback_error) || is_away(commit_error);
    }
    matches!(error, DieselError::BrokenTransactionManager)
}

/// Whether trying the same transaction again may succeed.
pub(in crate::store) fn lost_a_race(error: &Error) -> bool {
    error.source.as_ref().and_then(|source| source.downcast_ref()).is_some_and(is_lost_race)
}

/// [`lost_a_race`] of an error as diesel says it.
pub(in crate::store) fn is_lost_race(error: &DieselError) -> bool {
    // What was to be linked was deleted since it was looked up: the next try does not find it.
    use DatabaseErrorKind::ForeignKeyViolation;
    use DatabaseErrorKind::SerializationFailure;
    // The second: a row was on its way to the default partition while its day got one of its own.
    const LOST: [&str; 2] = ["deadlock detected", "violates partition constraint"];
    if let DieselError::DatabaseError(kind, information) = error {
        return matches!(kind, SerializationFailure | ForeignKeyViolation)
            || LOST.iter().any(|text| information.message().contains(text));
    }
    false
}

/// The error that makes [`write`](crate::store::database::Db::write) start again, without locks and with fresh eyes.
#[must_use]
pub fn start_again() -> Error {
    let reason = "what was looked up has changed meanwhile".to_owned();
    Error::unexpected(DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, Box::new(reason)))
}

/// `None` if the statement would have broken the uniqueness that this constraint keeps. The transaction is lost then.
pub(in crate::store) fn unless_taken<T>(result: QueryResult<T>, constraint: &str) -> QueryResult<Option<T>> {
    match result {
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, information))
            if information.constraint_name() == Some(constraint) =>
        {
            Ok(None)
        }
        result => result.map(Some),
    }
}
