//! What a test may take away: a Postgres of its own, its processes, a table or a row.

use crate::harness::Server;
use crate::harness::keyward;
use crate::harness::process;
use crate::harness::server::Options;
use diesel::Connection;
use diesel::PgConnection;
use diesel::RunQueryDsl;
use keyward::cli::postgres::PrivatePostgres;
use keyward::cli::postgres::Settings;
use rustix::process::Pid;
use rustix::process::Signal;
use tempfile::TempDir;

/// A migrated database on a Postgres that a test may take away.
pub struct Faulty {
    /// The server.
    pub postgres: PrivatePostgres,
    _folder: TempDir,
}

impl Faulty {
    /// `durable`: what was acknowledged survives a kill.
    pub fn new(durable: bool) -> Self {
        let folder = process::folder();
        let settings = Settings { durable, dies_with_parent: true, max_connections: 60 };
        let postgres = PrivatePostgres::start(&folder.path().join("data"), &settings).unwrap();
        keyward("migrate").database(postgres.url()).run().ok();
        Self { postgres, _folder: folder }
    }

    /// A server on it.
    pub fn serve(&self) -> Server {
        self.serve_with("")
    }

    /// A server on it with these flags.
    pub fn serve_with(&self, flags: &str) -> Server {
        Options::default().flags(flags).database(self.postgres.url()).start()
    }

    /// Postgres and all that it started.
    pub fn processes(&self) -> Vec<Pid> {
        let parent = self.postgres.pid();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let children = children.split_whitespace().map(|pid| pid.parse::<u32>().unwrap());
        let all = std::iter::once(parent).chain(children);
        all.map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()).collect()
    }
}

/// Processes that stand still until this is dropped.
pub struct Frozen(Vec<Pid>);

impl Frozen {
    /// Stops them.
    pub fn new(pids: Vec<Pid>) -> Self {
        pids.iter().for_each(|pid| rustix::process::kill_process(*pid, Signal::STOP).unwrap());
        Self(pids)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = rustix::process::kill_process(*pid, Signal::CONT);
        }
    }
}

/// What nobody else can use until this is dropped.
pub struct Locked(PgConnection);

impl Locked {
    /// Locks a table.
    pub fn new(url: &str, table: &str) -> Self {
        Self::by(url, &format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    }

    /// Holds whatever a statement locks.
    pub fn by(url: &str, statement: &str) -> Self {
        let mut connection = PgConnection::establish(url).unwrap();
        for statement in ["BEGIN", statement] {
            diesel::sql_query(statement).execute(&mut connection).unwrap();
        }
        Self(connection)
    }

    /// Asks for more. False if Postgres refused, and all is let go.
    pub fn also(&mut self, statement: &str) -> bool {
        diesel::sql_query(statement).execute(&mut self.0).is_ok()
    }

    /// Lets the others go on.
    pub fn release(mut self) {
        diesel::sql_query("ROLLBACK").execute(&mut self.0).unwrap();
    }
}
