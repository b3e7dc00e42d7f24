//! The command line, and the private Postgres of `keyward dev`.

pub mod audit;
pub mod completions;
pub mod database;
pub mod decisions;
pub mod dev;
pub mod doctor;
pub mod duration;
pub mod health;
pub mod logging;
pub mod master_key;
pub mod migrate;
pub mod openapi;
pub mod output;
pub mod permissions;
pub mod postgres;
pub mod prepare;
pub mod root_key;
pub mod serve;
pub mod workspace;

use crate::cli::database::Reach;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::config;
use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;
use clap::Subcommand;
use clap::error::ContextKind;
use std::ffi::OsString;
use std::process::ExitCode;

/// A standalone API-key service: creates, verifies and revokes API keys, on one Postgres.
///
/// Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 failure, 2 usage, 3 denied, 4 not found.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, about, long_about, max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    /// Print JSON, errors included
    #[arg(long, global = true, help_heading = config::GLOBAL)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything on this machine: a private Postgres, an admin root key, the server
    Dev(dev::Dev),
    /// Serve, on the Postgres of DATABASE_URL
    Serve(serve::Serve),
    /// Bring the database up to this version
    Migrate(migrate::Migrate),
    /// Make and manage workspaces
    #[command(subcommand)]
    Workspace(workspace::Workspace),
    /// Mint and revoke root keys
    #[command(subcommand)]
    RootKey(root_key::RootKey),
    /// Verify the audit log, and take anchors for that
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show what root keys can be given
    #[command(subcommand)]
    Permissions(permissions::Permissions),
    Explain(decisions::explain::Explain),
    Simulate(Box<decisions::simulate::Simulate>),
    /// Make and change the master keys that seal recoverable keys
    #[command(subcommand)]
    MasterKey(master_key::MasterKey),
    /// Check settings, database, migrations, clock and master key, and say what to do
    Doctor(doctor::Doctor),
    /// Ask a running server whether it is ready; exit code 0 if it is, 1 if not
    Health(health::Health),
    /// Print the OpenAPI document
    Openapi,
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// Runs one command; the result is the process's exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let out = Out { json };
    let result = match command().try_get_matches_from(&arguments) {
        Ok(matches) => refuse_unknown_settings()
            .and_then(|()| Cli::from_arg_matches(&matches).map_err(|error| Failure::usage(error.to_string())))
            .and_then(|cli| cli.command.run(&cli.reach, out)),
        Err(error) if !error.use_stderr() => return out.clap(&error),
        Err(error) => match variable_of(&error, &arguments) {
            Some(name) => Err(Failure::usage(format!("{name} is malformed: {}", sentence(&error)))),
            None if json => Err(Failure::usage(sentence(&error))),
            None => return out.clap(&error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => out.failure(&failure),
    }
}

/// The whole command line, for help, completions and the tests that compare it with the README.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Names of all environment variables that are settings, sorted.
#[must_use]
pub fn settings() -> Vec<String> {
    fn gather(command: &clap::Command, names: &mut Vec<String>) {
        let here = command.get_arguments().filter_map(|argument| argument.get_env());
        names.extend(here.map(|name| name.to_string_lossy().into_owned()));
        command.get_subcommands().for_each(|subcommand| gather(subcommand, names));
    }
    let mut names = Vec::new();
    gather(&command(), &mut names);
    names.sort();
    names.dedup();
    names
}

/// What clap has to say, without its own word for it.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.trim();
    text.strip_prefix("error: ").unwrap_or(text).to_owned()
}

/// The environment variable that a malformed value came from. clap names only the flag, which nobody wrote.
fn variable_of(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    fn find(command: &clap::Command, shown: &str) -> Option<(String, String)> {
        let here = command.get_arguments().filter(|argument| argument.to_string() == shown);
        let named = |argument: &clap::Arg| {
            Some((argument.get_long()?.to_owned(), argument.get_env()?.to_string_lossy().into_owned()))
        };
        here.filter_map(named).next().or_else(|| command.get_subcommands().find_map(|command| find(command, shown)))
    }
    let shown = error.get(ContextKind::InvalidArg)?.to_string();
    let mut command = command();
    command.build();
    let (long, name) = find(&command, &shown)?;
    let flag = format!("--{long}");
    let written = arguments.iter().any(|argument| {
        let argument = argument.to_string_lossy();
        argument == flag || argument.starts_with(&format!("{flag}="))
    });
    let set = std::env::vars_os().any(|(present, _)| present == *name);
    (set && !written).then_some(name)
}

fn refuse_unknown_settings() -> Result<(), Failure> {
    let present = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    config::refuse_unknown(&settings(), present).map_err(Failure::from)
}

impl Command {
    fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        match self {
            Self::Dev(dev) => dev.run(reach, out),
            Self::Serve(serve) => serve.run(reach, out),
            Self::Migrate(migrate) => migrate.run(reach, out),
            Self::Workspace(workspace) => workspace.run(reach, out),
            Self::RootKey(root_key) => root_key.run(reach, out),
            Self::Audit(audit) => audit.run(reach, out),
            Self::Permissions(permissions) => permissions.run(out),
            Self::Explain(explain) => explain.run(reach, out),
            Self::Simulate(simulate) => simulate.run(reach, out),
            Self::MasterKey(master_key) => master_key.run(reach, out),
            Self::Doctor(doctor) => doctor.run(reach, out),
            Self::Health(health) => health.run(out),
            Self::Openapi => openapi::run(out),
            Self::Completions(completions) => completions.run(out),
        }
    }
}
