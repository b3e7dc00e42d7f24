//! What `serve` and `dev` do before and around serving: migrate, bootstrap, listen, wait for a signal.

use crate::app::App;
use crate::app::Unwired;
use crate::cli::output::Failure;
use crate::config::Settings;
use crate::domain::root_keys;
use crate::domain::root_keys::Bootstrap;
use crate::limiter::redis;
use crate::model::clock::Clock;
use crate::model::master_key::MasterKeys;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::secret::Plaintext;
use crate::server;
use crate::store::database;
use crate::store::migrations;
use actix_web::rt::SystemRunner;
use std::io::ErrorKind;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

/// Takes the address before anything else is done.
///
/// # Errors
/// One line that says what to do.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let advice = [
            (ErrorKind::AddrInUse, ": another program listens there; choose another with --listen"),
            (ErrorKind::PermissionDenied, ": ports below 1024 need privileges; choose another with --listen"),
            (ErrorKind::AddrNotAvailable, ": this machine does not have that address; see --listen"),
        ];
        let advice = advice.iter().find(|(kind, _)| *kind == error.kind()).map_or("", |(_, advice)| advice);
        Failure::failed(format!("cannot listen on {address}{advice} ({error})"))
    })
}

/// Brings the database up to date, or makes sure that it is.
///
/// # Errors
/// The database is away or newer, or has to be migrated and may not be.
pub fn migrate(url: &str, allowed: bool) -> Result<(), Failure> {
    let mut connection = database::connect(url)?;
    if allowed {
        for name in migrations::run(&mut connection)? {
            tracing::info!(name, "migrated");
        }
        return Ok(());
    }
    migrations::refuse_newer(&mut connection)?;
    match migrations::pending(&mut connection)?.len() {
        0 => Ok(()),
        pending => Err(Failure::failed(format!(
            "{pending} migrations are pending and KEYWARD_MIGRATE is false: run `keyward migrate` first"
        ))),
    }
}

/// Refuses a connection string of Redis that cannot be used, before anything is done.
///
/// # Errors
/// One line that names the setting.
pub fn check_redis_url(settings: &Settings) -> Result<(), Failure> {
    if let Some(url) = settings.redis.url()? {
        redis::check(url.reveal())?;
    }
    Ok(())
}

/// Makes sure that the operator's own root key exists.
///
/// # Errors
/// The database's.
pub fn bootstrap(app: &App, plaintext: &Plaintext) -> Result<(), Failure> {
    let outcome = app
        .db
        .write_now(&Origin::local(Actor::System), |tx| root_keys::bootstrap(tx, plaintext))
        .map_err(Failure::from)?;
    match outcome {
        Bootstrap::Created => tracing::info!("the bootstrap root key was created"),
        Bootstrap::Present => tracing::info!("the bootstrap root key exists"),
        Bootstrap::Revoked => {
            tracing::warn!(
                "the bootstrap root key was revoked and stays so: remove KEYWARD_BOOTSTRAP_ROOT_KEY, or set another one"
            );
        }
    }
    Ok(())
}

/// Wires a process.
///
/// # Errors
/// A setting that cannot be used; a metric that cannot be registered: a bug.
pub fn app(settings: Settings, url: &str, master_keys: MasterKeys) -> Result<Arc<App>, Failure> {
    App::new(settings, url, master_keys, Clock::system()).map(Arc::new).map_err(|unwired| match unwired {
        Unwired::Setting(malformed) => malformed.into(),
        Unwired::Metric(error) => Failure::failed(error),
        Unwired::Thread(error) => Failure::failed(error),
    })
}

/// A runtime that catches SIGTERM and SIGINT from the moment that it is made: a signal that comes before serving begins
/// ends it at once, in order.
pub struct Runtime {
    /// Never dropped: that would wait for threads that hang in a database which does not answer. The process ends soon.
    system: ManuallyDrop<SystemRunner>,
    terminate: Signal,
    interrupt: Signal,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Runtime {
    /// Catches the signals.
    ///
    /// # Errors
    /// The operating system's.
    pub fn catch_signals() -> Result<Self, Failure> {
        let system = ManuallyDrop::new(actix_web::rt::System::new());
        let caught =
            system.block_on(async { Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)) });
        let (terminate, interrupt) = caught.map_err(|error: std::io::Error| Failure::failed(error))?;
        Ok(Self { system, terminate, interrupt })
    }

    /// Serves until SIGTERM or SIGINT, then drains. `ready` runs first.
    ///
    /// # Errors
    /// A listener or a contract that cannot be used.
    pub fn serve(self, app: Arc<App>, listener: TcpListener, ready: impl FnOnce()) -> Result<(), Failure> {
        let Self { system, mut terminate, mut interrupt } = self;
        system.block_on(async move {
            ready();
            let stop = async move {
                tokio::select! {
                    _ = terminate.recv() => (),
                    _ = interrupt.recv() => (),
                }
            };
            server::run(app, listener, stop).await.map_err(Failure::failed)
        })
    }
}
