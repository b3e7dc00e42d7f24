//! `keyward explain`.

use crate::cli::database::Reach;
use crate::cli::decisions::ask;
use crate::cli::decisions::story;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::config::RedisSettings;
use crate::domain::decisions::explain;
use crate::domain::decisions::explain::Explained;
use crate::http::decisions::ExplainResponse;
use crate::model::id::RequestId;
use clap::Args;

/// Say why a request was denied, and what it would be told now
///
/// A record is there about a second after the denial, in any workspace. --json prints what decisions.explain answers.
#[derive(Args, Debug)]
pub struct Explain {
    /// `meta.requestId` of the answer, or its header X-Request-Id
    #[arg(value_name = "REQUEST_ID")]
    request: String,
    #[command(flatten)]
    redis: RedisSettings,
}

impl Explain {
    /// Runs the command.
    ///
    /// # Errors
    /// There is no such record; the database's.
    pub fn run(&self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let request = RequestId::from_text(self.request.trim());
        let opened = reach.open_migrated()?;
        let explained =
            ask(&opened, &self.redis, async |db, limiter| explain::explain_to_operator(db, limiter, &request).await)?;
        if out.json {
            return out.data(&ExplainResponse::from(explained), String::new);
        }
        let Explained { decision, before, now } = explained;
        out.raw(&story::of_record(&decision, &before.unwrap_or_default(), &now))
    }
}
