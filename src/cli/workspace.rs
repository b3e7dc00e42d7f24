//! `keyward workspace`.

use crate::cli::database::Reach;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::output::table;
use crate::domain::workspaces;
use crate::model;
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
    /// Set what a workspace's root keys may do
    Limit {
        /// Its id or name
        #[arg(value_name = "NAME-OR-ID")]
        workspace: String,
        /// Requests per minute of each root key: a number, or `unlimited`
        #[arg(long, value_name = "NUMBER", value_parser = limit)]
        requests_per_minute: Limit,
    },
}

/// A number, or none.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Option<i32>);

fn limit(text: &str) -> Result<Limit, String> {
    match (text, text.parse::<i32>()) {
        ("unlimited", _) => Ok(Limit(None)),
        (_, Ok(number)) if number >= 0 => Ok(Limit(Some(number))),
        _ => Err("expected a number from 0 to 2147483647, or `unlimited`".to_owned()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    name: String,
    enabled: bool,
    requests_per_minute: Option<i32>,
    created_at: i64,
}

impl From<model::workspace::Workspace> for Row {
    fn from(workspace: model::workspace::Workspace) -> Self {
        Self {
            id: workspace.id.to_string(),
            name: workspace.name,
            enabled: workspace.enabled,
            requests_per_minute: workspace.requests_per_minute,
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
            Self::Limit { workspace, requests_per_minute: Limit(limit) } => {
                opened.write(|tx| workspaces::set_requests_per_minute(tx, &workspace, limit))?
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
            let limit = row.requests_per_minute.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
            [row.id.clone(), row.name.clone(), state, limit]
        })
        .collect();
    table(["ID", "NAME", "STATE", "REQUESTS/MIN"], &cells)
}
