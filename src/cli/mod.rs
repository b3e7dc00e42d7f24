//! The command line, and the private Postgres of `keyward dev`.

pub mod completions;
pub mod database;
pub mod dev;
pub mod doctor;
pub mod duration;
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
use std::ffi::OsString;
use std::process::ExitCode;

/// A standalone API-key service: creates, verifies and revokes API keys, on one Postgres.
///
/// Data goes to stdout, everything else to stderr. Exit codes: 0 ok, 1 failure, 2 usage, 3 denied, 4 not found.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, about, long_about, max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    /// Print JSON, errors included
    #[arg(long, global = true)]
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
    /// Show what root keys can be given
    #[command(subcommand)]
    Permissions(permissions::Permissions),
    /// Make and change the master keys that seal recoverable keys
    #[command(subcommand)]
    MasterKey(master_key::MasterKey),
    /// Check settings, database, migrations, clock and master key, and say what to do
    Doctor(doctor::Doctor),
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
        Err(error) if !json => return out.clap(&error),
        Err(error) => Err(Failure::usage(error.render().to_string().trim().to_owned())),
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
            Self::Permissions(permissions) => permissions.run(out),
            Self::MasterKey(master_key) => master_key.run(reach, out),
            Self::Doctor(doctor) => doctor.run(reach, out),
            Self::Openapi => openapi::run(out),
            Self::Completions(completions) => completions.run(out),
        }
    }
}
