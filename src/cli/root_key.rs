//! `keyward root-key`.

use crate::authz::caller::Permit;
use crate::authz::preset::Preset;
use crate::cli::database::Reach;
use crate::cli::duration;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::output::table;
use crate::domain::root_keys;
use crate::domain::root_keys::Mint;
use crate::domain::workspaces;
use crate::model;
use crate::model::clock::Clock;
use crate::model::clock::Timestamp;
use crate::model::id::RootKeyId;
use clap::Args;
use clap::Subcommand;
use serde::Serialize;

/// Mint and revoke root keys
#[derive(Debug, Subcommand)]
pub enum RootKey {
    /// Mint a root key; its plaintext is printed once, alone on the last line of stdout
    ///
    /// The workspace's limit of root keys binds the API, not the operator: this command mints beyond it.
    #[command(after_long_help = presets())]
    Create(Create),
    /// List live root keys
    List {
        /// Only those of this workspace
        #[arg(long, value_name = "NAME-OR-ID")]
        workspace: Option<String>,
    },
    /// Revoke a root key
    Revoke {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// What a new root key is to be.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("rights").required(true).multiple(false).args(["permission", "permissions", "preset"]))]
pub struct Create {
    /// The workspace that it acts in
    #[arg(long, value_name = "NAME-OR-ID")]
    workspace: String,
    /// A permission like api.*.create_key; repeat for several
    #[arg(long, value_name = "PERMISSION")]
    permission: Vec<String>,
    /// Permissions separated by commas; '' mints a root key without any
    #[arg(long, value_name = "PERMISSIONS")]
    permissions: Option<String>,
    /// A set of permissions by name: admin, verify, readonly
    #[arg(long, value_parser = preset)]
    preset: Option<Preset>,
    /// A label
    #[arg(long)]
    name: Option<String>,
    /// End of its life: a span like 30d or 12h, a date, or RFC 3339
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

fn preset(name: &str) -> Result<Preset, String> {
    let names = || Preset::ALL.iter().map(|preset| preset.name()).collect::<Vec<_>>().join(", ");
    Preset::ALL
        .iter()
        .copied()
        .find(|preset| preset.name() == name)
        .ok_or_else(|| format!("the presets are {}", names()))
}

fn presets() -> String {
    let sets = Preset::ALL.iter().map(|preset| format!("  {}:\n    {}", preset.name(), preset.tuples().join("\n    ")));
    format!(
        "Presets stand for these permissions:\n{}\n\nInstead of * a permission may name one resource, like \
         api.api_123.create_key. `keyward permissions list` prints them all.",
        sets.collect::<Vec<_>>().join("\n")
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    key_id: String,
    workspace_id: String,
    name: Option<String>,
    start: String,
    end: String,
    enabled: bool,
    permissions: Vec<String>,
    created_at: i64,
    last_used_at: i64,
    expires: Option<i64>,
}

impl From<model::root_key::RootKey> for Row {
    fn from(root_key: model::root_key::RootKey) -> Self {
        let ms = |at: Timestamp| at.timestamp_millis();
        Self {
            key_id: root_key.id.to_string(),
            workspace_id: root_key.workspace_id.to_string(),
            name: root_key.name,
            start: root_key.start,
            end: root_key.last_characters,
            enabled: root_key.enabled,
            permissions: root_key.permissions,
            created_at: ms(root_key.created_at),
            last_used_at: root_key.last_used_at.map_or(0, ms),
            expires: root_key.expires_at.map(ms),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Minted<'a> {
    key_id: &'a str,
    key: &'a str,
}

impl RootKey {
    /// Runs the command.
    ///
    /// # Errors
    /// The database's, and those of the operation.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(reach, out),
            Self::List { workspace } => {
                let opened = reach.open_migrated()?;
                let rows: Vec<_> =
                    opened.read(|tx| root_keys::list(tx, workspace.as_deref()))?.into_iter().map(Row::from).collect();
                out.data(&rows, || listed(&rows))
            }
            Self::Revoke { id } => {
                let id = RootKeyId::from_text(id);
                reach.open_migrated()?.write(|tx| root_keys::revoke(tx, &id))?;
                out.say(format!("root key {id} is revoked"));
                out.data(&serde_json::Map::new(), String::new)
            }
        }
    }
}

impl Create {
    fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let permissions = match (self.preset, self.permissions) {
            (Some(preset), _) => preset.tuples(),
            (None, Some(list)) => {
                list.split(',').map(str::trim).filter(|tuple| !tuple.is_empty()).map(ToOwned::to_owned).collect()
            }
            (None, None) => self.permission,
        };
        let expires_at = self
            .expires
            .map(|text| duration::moment(&text, Clock::system().now()))
            .transpose()
            .map_err(Failure::usage)?;
        let mint = Mint { name: self.name, permissions, expires_at };
        let opened = reach.open_migrated()?;
        let (id, plaintext) = opened.write(|tx| {
            let workspace = workspaces::find(tx, &self.workspace)?;
            root_keys::mint(tx, &Permit::of_operator(workspace.id), &mint)
        })?;
        out.say(format!("root key {id} with {} permissions; it is not shown again:", mint.permissions.len()));
        out.data(&Minted { key_id: id.as_str(), key: plaintext.reveal() }, || plaintext.reveal().to_owned())
    }
}

fn listed(rows: &[Row]) -> String {
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let shown = format!("{}…{}", row.start, row.end);
            let state = if row.enabled { "enabled" } else { "disabled" }.to_owned();
            let name = row.name.clone().unwrap_or_default();
            [row.key_id.clone(), row.workspace_id.clone(), name, shown, state, row.permissions.len().to_string()]
        })
        .collect();
    table(["ID", "WORKSPACE", "NAME", "KEY", "STATE", "PERMISSIONS"], &cells)
}
