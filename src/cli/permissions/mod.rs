//! `keyward permissions`.

mod needed;
mod script;

pub(super) use needed::find;

use crate::authz::action::Action;
use crate::authz::action::Resource;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::output::table;
use clap::Subcommand;
use serde::Serialize;

/// Show what root keys can be given
#[derive(Debug, Subcommand)]
pub enum Permissions {
    /// List every permission, and where one resource's id may stand for *
    List,
    /// Print the least permissions for operations, and the command that mints a root key with just these
    #[command(after_long_help = needed::HELP)]
    For(needed::For),
}

#[derive(Serialize)]
struct Group {
    resource: &'static str,
    permissions: Vec<Permission>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    permission: String,
    /// What the id in place of `*` names; `null` where no operation asks for one.
    id: Option<&'static str>,
}

impl Permissions {
    /// Runs the command.
    ///
    /// # Errors
    /// An operation that does not exist, a file that cannot be read; stdout is gone.
    pub fn run(&self, out: Out) -> Result<(), Failure> {
        match self {
            Self::List => {
                let groups = groups();
                out.data(&groups, || listed(&groups))
            }
            Self::For(asked) => asked.run(out),
        }
    }
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for action in Action::ALL {
        let permission = Permission { permission: action.on("*"), id: named(*action) };
        let resource = action.resource().name();
        match groups.iter_mut().find(|group| group.resource == resource) {
            Some(group) => group.permissions.push(permission),
            None => groups.push(Group { resource, permissions: vec![permission] }),
        }
    }
    groups
}

fn named(action: Action) -> Option<&'static str> {
    let id = match action.resource() {
        Resource::Api => "the id of an API",
        Resource::Identity => "the id of an identity",
        Resource::Ratelimit => "the id of a namespace",
        Resource::Portal => "the id of a portal",
        Resource::RootKey => "the id of a root key",
        Resource::Rbac | Resource::Decision | Resource::AuditLog => return None,
    };
    action.takes_id().then_some(id)
}

fn listed(groups: &[Group]) -> String {
    let rows: Vec<_> = groups
        .iter()
        .flat_map(|group| &group.permissions)
        .map(|row| [row.permission.clone(), row.id.map_or_else(|| "only *".to_owned(), |id| format!("or {id}"))])
        .collect();
    table(["PERMISSION", "IN PLACE OF *"], &rows)
}
