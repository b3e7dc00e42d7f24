//! One transaction: the connection, one reading of the clock, and the list of what was changed in it.

use crate::model::audit::Changed;
use crate::model::audit::FieldChange;
use crate::model::change::Change;
use crate::model::clock::Timestamp;
use crate::model::id::WorkspaceId;
use crate::model::origin::Event;
use crate::model::origin::Origin;
use crate::model::origin::Resource;
use crate::store::cache::elapsed_ms;
use diesel::QueryResult;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::pg::PgConnection;
use diesel::sql_types::BigInt;
use diesel::sql_types::Bool;
use std::fmt;

/// Rows that one statement writes at most: an import has tens of thousands, and no statement may take long.
pub const MAX_ROWS: usize = 1000;

/// An audit row in the making.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// Whose log it goes to.
    pub workspace: WorkspaceId,
    /// What happened.
    pub event: Event,
    /// One sentence for people.
    pub display: String,
    /// What it happened to.
    pub resources: Vec<Resource>,
    /// Which fields became what, of those that decide on something.
    pub changes: Vec<FieldChange>,
}

impl AuditEvent {
    /// An event that changed no field that decides on something.
    #[must_use]
    pub fn new(workspace: &WorkspaceId, event: Event, display: String, resources: Vec<Resource>) -> Self {
        Self { workspace: workspace.clone(), event, display, resources, changes: Vec::new() }
    }

    /// The same with the fields that it changed.
    #[must_use]
    pub fn changing(self, changed: Changed) -> Self {
        Self { changes: changed.fields(), ..self }
    }
}

/// An audit row as it is written: most have the origin and the moment of their transaction.
#[derive(Debug)]
pub(in crate::store) struct Noted {
    pub(in crate::store) event: AuditEvent,
    pub(in crate::store) own: Option<(Origin, Timestamp)>,
}

impl From<AuditEvent> for Noted {
    fn from(event: AuditEvent) -> Self {
        Self { event, own: None }
    }
}

/// A moment before the database was asked: on the server's clock, and on that of [`elapsed_ms`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "said above")]
pub struct ReadAt {
    pub at: Timestamp,
    pub elapsed_ms: u64,
}

/// A running transaction.
pub struct Tx<'c> {
    pub(in crate::store) connection: &'c mut PgConnection,
    now: Timestamp,
    begun_ms: u64,
    changes: Vec<Change>,
    events: Vec<Noted>,
}

impl<'c> Tx<'c> {
    pub(in crate::store) fn new(connection: &'c mut PgConnection, now: Timestamp) -> Self {
        Self { connection, now, begun_ms: elapsed_ms(), changes: Vec::new(), events: Vec::new() }
    }

    /// The moment of this transaction: everything in it happens then.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What is read in this transaction is not older than this.
    #[must_use]
    pub fn read_at(&self) -> ReadAt {
        ReadAt { at: self.now, elapsed_ms: self.begun_ms }
    }

    /// Takes the advisory lock of this number until the end of the transaction; false if somebody else has it.
    ///
    /// # Errors
    /// Whatever the database says.
    pub(in crate::store) fn locks(&mut self, number: i64) -> QueryResult<bool> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            locked: bool,
        }
        let row: Row = diesel::sql_query("SELECT pg_try_advisory_xact_lock($1) AS locked")
            .bind::<BigInt, _>(number)
            .get_result(self.connection)?;
        Ok(row.locked)
    }

    /// Notes what was changed, to be told to every node when the transaction commits, and to the audit log.
    pub(in crate::store) fn record(&mut self, change: Change, event: AuditEvent) {
        self.changed(change);
        self.events.push(event.into());
    }

    /// Notes a change that shares its audit row with another one.
    pub(in crate::store) fn changed(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Notes in the audit log what changed nothing but must be known: a secret was shown.
    pub(in crate::store) fn note(&mut self, event: AuditEvent) {
        self.events.push(event.into());
    }

    /// Notes in the audit log what somebody did, or was refused, in another moment than this transaction's: it writes
    /// together what was gathered of many.
    pub fn note_as(&mut self, origin: Origin, at: Timestamp, event: AuditEvent) {
        self.events.push(Noted { event, own: Some((origin, at)) });
    }

    pub(in crate::store) fn into_parts(self) -> (&'c mut PgConnection, Vec<Change>, Vec<Noted>) {
        (self.connection, self.changes, self.events)
    }
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("now", &self.now).field("changes", &self.changes).finish_non_exhaustive()
    }
}
