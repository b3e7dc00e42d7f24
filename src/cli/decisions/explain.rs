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
use crate::model::clock::Clock;
use crate::model::code::Code;
use crate::model::id::RequestId;
use clap::Args;
use std::time::Duration;
use tokio::time::sleep;

/// How long it may take until a denial is written down, milliseconds.
const WRITTEN_WITHIN_MS: i64 = 3000;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Say why a request was denied, and what it would be told now
///
/// Finds the record in any workspace. It is written about a second after the denial, and waited for. --json prints what decisions.explain answers.
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
        let explained = ask(&opened, &self.redis, async |db, limiter| {
            loop {
                match explain::explain_to_operator(db, limiter, &request).await {
                    // It may not be written yet.
                    Err(error) if error.code == Code::DecisionNotFound && is_recent(&request) => sleep(PAUSE).await,
                    explained => return explained,
                }
            }
        })?;
        if out.json {
            return out.data(&ExplainResponse::from(explained), String::new);
        }
        let Explained { decision, before, now } = explained;
        out.raw(&story::of_record(&decision, &before.unwrap_or_default(), &now))
    }
}

/// Whether a request was made just now, as its id tells.
fn is_recent(request: &RequestId) -> bool {
    let made = request.made_ms();
    let now = Clock::system().now().timestamp_millis();
    made.is_some_and(|made| {
        made.saturating_add(WRITTEN_WITHIN_MS) > now && made < now.saturating_add(WRITTEN_WITHIN_MS)
    })
}
