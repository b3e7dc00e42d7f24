//! `keyward workspace`.

use crate::cli::database::Reach;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::output::table;
use crate::domain::workspaces;
use crate::model;
use crate::model::workspace::LimitChanges;
use clap::Subcommand;
use serde::Serialize;

/// Make and manage workspaces
#[derive(Debug, Subcommand)]
pub enum Workspace {
    /// Make a workspace; prints its id
    Create {
        /// Its name, unique
        name: String,
    },
    /// List all workspaces
    List,
    /// Let a disabled workspace's root keys in again
    Enable {
        /// Its id or name
        #[arg(value_name = "NAME-OR-ID")]
        workspace: String,
    },
    /// Refuse all root keys of a workspace (403 workspace_disabled)
    Disable {
        /// Its id or name
        #[arg(value_name = "NAME-OR-ID")]
        workspace: String,
    },
    /// Set what a workspace may have and its root keys may do
    #[command(group = clap::ArgGroup::new("limits").required(true).multiple(true)
        .args(["requests_per_minute", "keys", "root_keys"]))]
    Limit {
        /// Its id or name
        #[arg(value_name = "NAME-OR-ID")]
        workspace: String,
        /// Requests per minute of each root key: a number, or `unlimited`
        #[arg(long, value_name = "NUMBER", value_parser = limit)]
        requests_per_minute: Option<Limit>,
        /// Live keys over all of its APIs: a number, or `unlimited`
        #[arg(long, value_name = "NUMBER", value_parser = limit)]
        keys: Option<Limit>,
        /// Live root keys that can be minted over the API: a number, or `unlimited`. `keyward root-key create` is not
        /// limited
        #[arg(long, value_name = "NUMBER", value_parser = limit)]
        root_keys: Option<Limit>,
    },
}

/// A number, or none.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Option<u32>);

/// Largest limit: what fits where it is stored, and more than anybody counts.
const MAX_LIMIT: u32 = i32::MAX.unsigned_abs();

fn limit(text: &str) -> Result<Limit, String> {
    match (text, text.parse::<u32>()) {
        ("unlimited", _) => Ok(Limit(None)),
        (_, Ok(number)) if number <= MAX_LIMIT => Ok(Limit(Some(number))),
        _ => Err(format!("expected a number from 0 to {MAX_LIMIT}, or `unlimited`")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    enabled: bool,
    requests_per_minute: Option<i32>,
    keys_max: Option<i64>,
    root_keys_max: Option<i64>,
    created_at: i64,
}

impl From<model::workspace::Workspace> for Row {
    fn from(workspace: model::workspace::Workspace) -> Self {
        Self {
            id: workspace.id.to_string(),
            name: workspace.name,
            enabled: workspace.enabled,
            requests_per_minute: workspace.requests_per_minute,
            keys_max: workspace.keys_max,
            root_keys_max: workspace.root_keys_max,
            created_at: workspace.created_at.timestamp_millis(),
        }
    }
}

impl Workspace {
    /// Runs the command.
    ///
    /// # Errors
    /// The database's, and those of the operation.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let opened = reach.open_migrated()?;
        let workspace = match self {
            Self::List => {
                let rows: Vec<_> = opened.read(workspaces::list)?.into_iter().map(Row::from).collect();
                return out.data(&rows, || listed(&rows));
            }
            Self::Create { name } => opened.write(|tx| workspaces::create(tx, &name))?,
            Self::Enable { workspace } => {
                set_enabled(out, opened.write(|tx| workspaces::set_enabled(tx, &workspace, true))?)
            }
            Self::Disable { workspace } => {
                set_enabled(out, opened.write(|tx| workspaces::set_enabled(tx, &workspace, false))?)
            }
            Self::Limit { workspace, requests_per_minute, keys, root_keys } => {
                let count = |limit: Limit| limit.0.map(i64::from);
                let limits = LimitChanges {
                    requests_per_minute: requests_per_minute
                        .map(|limit| limit.0.and_then(|limit| i32::try_from(limit).ok())),
                    keys_max: keys.map(count),
                    root_keys_max: root_keys.map(count),
                };
                opened.write(|tx| workspaces::set_limits(tx, &workspace, &limits))?
            }
        };
        let row = Row::from(workspace);
        out.data(&row, || row.id.clone())
    }
}

fn set_enabled(out: Out, (workspace, changed): (model::workspace::Workspace, bool)) -> model::workspace::Workspace {
    let state = if workspace.enabled { "enabled" } else { "disabled" };
    out.say(format!("workspace {} is {state}{}", workspace.name, if changed { "" } else { ", as it was" }));
    workspace
}

fn listed(rows: &[Row]) -> String {
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let state = if row.enabled { "enabled" } else { "disabled" }.to_owned();
            let words = |limit: Option<i64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
            let requests = words(row.requests_per_minute.map(i64::from));
            [row.id.clone(), row.name.clone(), state, requests, words(row.keys_max), words(row.root_keys_max)]
        })
        .collect();
    table(["ID", "NAME", "STATE", "REQUESTS/MIN", "KEYS", "ROOT KEYS"], &cells)
}
