//! How commands reach the database: `--database-url`, or the data folder of a `dev` instance, running or not.

use crate::cli::output::Failure;
use crate::cli::postgres;
use crate::cli::postgres::Reached;
use crate::config;
use crate::config::DatabaseSettings;
use crate::config::Secret;
use crate::model::clock::Clock;
use crate::model::error::Result as StoreResult;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::store::database;
use crate::store::database::Db;
use crate::store::database::PoolSettings;
use crate::store::migrations;
use crate::store::tx::Tx;
use clap::Args;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// The data folder of `keyward dev` when none is named.
pub const DEFAULT_DATA_DIR: &str = ".keyward";
/// Longest time that one statement of a command may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where the database is.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Reach {
    /// Connection string, or the file that holds it
    #[command(flatten)]
    pub settings: DatabaseSettings,
    /// Data folder of a `keyward dev` instance, running or not [default: .keyward, where that is a folder]
    #[arg(long, env = "KEYWARD_DATA_DIR", global = true, help_heading = config::GLOBAL, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

/// A database that a command uses. A private Postgres that was started for it stops when this is dropped.
#[derive(Debug)]
pub struct Opened {
    /// Its connection string.
    pub url: Secret,
    /// The private Postgres behind it.
    _reached: Option<Reached>,
}

impl Reach {
    /// Reaches the database.
    ///
    /// # Errors
    /// None is named, or it is not there.
    pub fn open(&self) -> Result<Opened, Failure> {
        let url = self.settings.url()?;
        match (url, &self.data_dir) {
            (Some(_), Some(_)) => {
                Err(Failure::usage("--data-dir and a database URL (DATABASE_URL) are both given: keep one of them"))
            }
            (Some(url), None) => Ok(Opened { url, _reached: None }),
            (None, Some(folder)) => reach(folder),
            (None, None) if Path::new(DEFAULT_DATA_DIR).is_dir() => reach(Path::new(DEFAULT_DATA_DIR)),
            (None, None) => Err(Failure::usage(
                "no database is named: set DATABASE_URL, or name the data folder of `keyward dev` with --data-dir",
            )),
        }
    }

    /// [`Self::open`] for a server: the folder that happens to be there is not taken for the production database.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_named(&self) -> Result<Opened, Failure> {
        if self.data_dir.is_none() && self.settings.url()?.is_none() {
            return Err(Failure::usage(
                "`keyward serve` needs DATABASE_URL; for a Postgres of its own use `keyward dev`",
            ));
        }
        self.open()
    }

    /// Reaches a database that is up to date.
    ///
    /// # Errors
    /// As [`Self::open`], and if migrations are pending or the database is newer.
    pub fn open_migrated(&self) -> Result<Opened, Failure> {
        let opened = self.open()?;
        let mut connection = database::connect(opened.url.reveal())?;
        migrations::refuse_newer(&mut connection)?;
        match migrations::pending(&mut connection)?.len() {
            0 => Ok(opened),
            pending => Err(Failure::failed(format!("{pending} migrations are pending: run `keyward migrate` first"))),
        }
    }
}

fn reach(folder: &Path) -> Result<Opened, Failure> {
    let reached = postgres::reach(folder)?;
    Ok(Opened { url: Secret::new(reached.url()), _reached: Some(reached) })
}

impl Opened {
    /// Asks.
    ///
    /// # Errors
    /// Those of `ask`.
    pub fn read<T>(&self, ask: impl FnOnce(&mut Tx<'_>) -> StoreResult<T>) -> Result<T, Failure> {
        Ok(self.db().read_now(ask)?)
    }

    /// [`Self::read`] with one consistent view for all queries of `ask`, however long it takes.
    ///
    /// # Errors
    /// Those of `ask`.
    pub fn view<T>(&self, ask: impl FnOnce(&mut Tx<'_>) -> StoreResult<T>) -> Result<T, Failure> {
        Ok(self.db().view_now(ask)?)
    }

    /// Changes, as the operator.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn write<T>(&self, change: impl FnMut(&mut Tx<'_>) -> StoreResult<T>) -> Result<T, Failure> {
        Ok(self.db().write_now(&Origin::local(Actor::CommandLine), change)?)
    }

    /// The database, for what waits.
    #[must_use]
    pub fn db(&self) -> Db {
        Db::open(
            self.url.reveal(),
            PoolSettings { connections: 1, deadline: DEADLINE, fixed_plans: false },
            Clock::system(),
        )
    }
}
