//! How the other commands get at the database of a `keyward dev` folder, whether it runs or not.

use crate::cli::postgres::PrivatePostgres;
use crate::cli::postgres::Settings;
use crate::cli::postgres::cluster;
use crate::cli::postgres::fault::Fault;
use crate::cli::postgres::folder::Folder;
use crate::cli::postgres::folder::Note;
use crate::cli::postgres::lock::Holder;
use crate::cli::postgres::lock::Lock;
use crate::cli::postgres::lock::Purpose;
use crate::cli::postgres::pause;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

/// How long an instance may take to come up while a command waits for it: it may be creating its cluster.
const LIMIT: Duration = Duration::from_secs(60);
const SETTINGS: Settings = Settings { durable: true, dies_with_parent: true, max_connections: 20 };

/// A database that can be connected to while this value lives.
#[derive(Debug)]
pub struct Reached {
    url: String,
    admin_url: String,
    own: Option<PrivatePostgres>,
}

impl Reached {
    /// Connection URL of the database `keyward`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connection URL of the database `postgres`.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Whether the server was started for this value, as no instance runs on the folder.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Stops the server if it was started for this value. Dropping does the same, silently.
    pub fn release(self) -> Result<(), Fault> {
        self.own.map_or(Ok(()), PrivatePostgres::stop)
    }
}

/// Reaches the database of a folder: the server of the instance that runs there, else one for the life of the value.
pub fn reach(data_dir: &Path) -> Result<Reached, Fault> {
    reach_with(data_dir, None)
}

/// [`reach`] with the Postgres programs of one folder.
pub fn reach_with(data_dir: &Path, binaries: Option<&Path>) -> Result<Reached, Fault> {
    let folder = Folder::open(data_dir)?;
    cluster::owner(&folder)?;
    let begun = Instant::now();
    loop {
        match Lock::take(&folder, Purpose::Command)? {
            Ok(lock) => {
                if cluster::owner(&folder)?.is_none() {
                    let path = data_dir.display();
                    return Err(Fault::new(format!(
                        "{path} holds no database yet: run `keyward dev --data-dir {path}` first"
                    )));
                }
                let own = PrivatePostgres::run(folder, lock, &SETTINGS, binaries)?;
                return Ok(Reached {
                    url: own.url().to_owned(),
                    admin_url: own.admin_url().to_owned(),
                    own: Some(own),
                });
            }
            Err(holder) => {
                if let Some(Note { url, admin_url, .. }) = note_of(&folder, &holder) {
                    return Ok(Reached { url, admin_url, own: None });
                }
                if begun.elapsed() > LIMIT {
                    return Err(holder.fault(&folder));
                }
                // It is starting or stopping.
                pause();
            }
        }
    }
}

/// The note that the holder of the lock has published, not one that a killed instance has left.
fn note_of(folder: &Folder, holder: &Holder) -> Option<Note> {
    folder.note().filter(|note| Some(note.pid) == holder.pid)
}
