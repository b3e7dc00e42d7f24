//! `keyward serve`: production.

use crate::cli::database::Reach;
use crate::cli::logging;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::prepare;
use crate::config::Settings;
use crate::domain::root_keys::MIN_BOOTSTRAP_LENGTH;
use clap::Args;

/// Serve, on the Postgres of DATABASE_URL
#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// A setting, the address or the database cannot be used.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let settings = self.settings;
        let _log = logging::start(&settings)?;
        let master_keys = settings.master_key.ring()?;
        let bootstrap = settings.bootstrap_root_key(MIN_BOOTSTRAP_LENGTH)?;
        prepare::check_redis_url(&settings)?;
        let opened = reach.open_named()?;
        let listener = prepare::listen(settings.listen)?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        prepare::migrate(opened.url.reveal(), settings.migrate)?;
        let app = prepare::app(settings, opened.url.reveal(), master_keys)?;
        if let Some(plaintext) = &bootstrap {
            prepare::bootstrap(&app, plaintext)?;
        }
        prepare::Runtime::catch_signals()?.serve(app, listener, || {
            tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "serving");
            out.say(format!("keyward serves on http://{address}"));
        })?;
        tracing::info!("stopped");
        Ok(())
    }
}
