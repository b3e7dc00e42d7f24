//! The private Postgres of `keyward dev`: a cluster in the data folder, started and stopped with Keyward.

mod account;
mod binaries;
mod cluster;
mod fault;
mod folder;
mod lock;
mod orphan;
mod place;
mod reach;
mod server;
mod socket;

pub use crate::cli::postgres::fault::Fault;
pub use crate::cli::postgres::reach::Reached;
pub use crate::cli::postgres::reach::reach;
pub use crate::cli::postgres::reach::reach_with;

use crate::cli::postgres::cluster::Cluster;
use crate::cli::postgres::folder::Folder;
use crate::cli::postgres::folder::Note;
use crate::cli::postgres::lock::Lock;
use crate::cli::postgres::lock::Purpose;
use crate::cli::postgres::server::Server;
use crate::cli::postgres::server::Stop;
use crate::cli::postgres::socket::SocketFolder;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

/// What differs between an instance that somebody keeps and one that a test throws away.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether an acknowledged write survives a crash of the machine. Without it everything is faster.
    pub durable: bool,
    /// Whether the server stops when this process is gone, even by SIGKILL.
    pub dies_with_parent: bool,
    /// Postgres' `max_connections`.
    pub max_connections: u16,
}

/// A running Postgres server of its own. Dropping it stops the server; [`PrivatePostgres::stop`] says whether that worked.
#[derive(Debug)]
pub struct PrivatePostgres {
    url: String,
    admin_url: String,
    settings: Settings,
    cluster: Cluster,
    socket: SocketFolder,
    server: Mutex<Server>,
    folder: Folder,
    /// Released last, when nothing runs any more.
    _lock: Lock,
}

impl PrivatePostgres {
    /// Starts the server of a data folder. The first start makes the folder and in it a cluster with the database `keyward`.
    pub fn start(data_dir: &Path, settings: &Settings) -> Result<Self, Fault> {
        Self::start_with(data_dir, settings, None)
    }

    /// [`PrivatePostgres::start`] with the Postgres programs of one folder instead of those found on this machine.
    pub fn start_with(data_dir: &Path, settings: &Settings, binaries: Option<&Path>) -> Result<Self, Fault> {
        let folder = Folder::open_or_create(data_dir)?;
        cluster::owner(&folder)?;
        match Lock::take(&folder, Purpose::Instance)? {
            Ok(lock) => Self::run(folder, lock, settings, binaries),
            Err(holder) => Err(holder.fault(&folder)),
        }
    }

    fn run(folder: Folder, lock: Lock, settings: &Settings, binaries: Option<&Path>) -> Result<Self, Fault> {
        let programs = binaries::folders(binaries, std::env::var_os("PATH").as_deref());
        let cluster = cluster::open_or_create(&folder, &programs, settings.durable)?;
        orphan::stop(&cluster.path)?;
        let socket = SocketFolder::prepare(&folder, &cluster.account)?;
        let server = Server::start(&folder, &cluster, &socket, settings)?;
        let postgres = Self {
            url: socket.url(cluster::DATABASE),
            admin_url: socket.url("postgres"),
            settings: settings.clone(),
            cluster,
            socket,
            server: Mutex::new(server),
            folder,
            _lock: lock,
        };
        let (url, admin_url) = (postgres.url.clone(), postgres.admin_url.clone());
        postgres.folder.publish(&Note { pid: std::process::id(), url, admin_url })?;
        Ok(postgres)
    }

    /// Connection URL of the database `keyward`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connection URL of the database `postgres`.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Where the data files are: below the data folder, unless the account that runs Postgres cannot get there.
    pub fn cluster_dir(&self) -> PathBuf {
        self.cluster.path.clone()
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.server().pid()
    }

    /// Stops the server in order and releases the folder.
    pub fn stop(self) -> Result<(), Fault> {
        self.shut_down()
    }

    /// Takes the database away in order, keeping the folder, until [`PrivatePostgres::start_again`].
    pub fn interrupt(&self) -> Result<(), Fault> {
        self.server().stop(Stop::Fast)
    }

    /// Ends the server as a crash does. The next start recovers.
    pub fn kill(&self) -> Result<(), Fault> {
        self.server().stop(Stop::Immediate)
    }

    /// Starts the server again at the same URL after `interrupt` or `kill`.
    pub fn start_again(&self) -> Result<(), Fault> {
        let mut server = self.server();
        server.stop(Stop::Fast)?;
        SocketFolder::prepare(&self.folder, &self.cluster.account)?;
        *server = Server::start(&self.folder, &self.cluster, &self.socket, &self.settings)?;
        Ok(())
    }

    fn shut_down(&self) -> Result<(), Fault> {
        self.folder.withdraw_note();
        let stopped = self.server().stop(Stop::Fast);
        self.socket.remove();
        stopped
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `stop`, after which there is nothing left to do here.
        let _ = self.shut_down();
    }
}

#[expect(clippy::disallowed_methods, reason = "a command waits for another process here, and no request waits with it")]
fn pause() {
    std::thread::sleep(Duration::from_millis(3));
}
