//! The log: to stderr, written by a thread of its own so that no request waits for it.

use crate::cli::output::Failure;
use crate::config::LogFormat;
use crate::config::Settings;
use std::io::IsTerminal;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// Starts logging. What is not written yet is written when the guard is dropped.
///
/// # Errors
/// A malformed filter.
pub fn start(settings: &Settings) -> Result<WorkerGuard, Failure> {
    let filter = EnvFilter::builder()
        .parse(&settings.log)
        .map_err(|error| Failure::usage(format!("KEYWARD_LOG (--log) `{}` is malformed: {error}", settings.log)))?;
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let json = match settings.log_format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    // A second start in one process keeps the first one's subscriber.
    let _ = if json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panic");
    }));
    Ok(guard)
}
