//! `keyward permissions for`: the least permissions that some operations need.

use crate::authz::action::Action;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::output::table;
use crate::cli::permissions::script;
use crate::config;
use crate::http::operations::OPERATIONS;
use crate::http::operations::Operation;
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// What `--help` ends with.
pub(super) const HELP: &str = "A script is any text. Each /v2/<operation> and /v1/<operation> in it counts, and so does each \
    name of an operation, as in unkey.keys.verifyKey(…); lines that begin with # do not. A list of operations, one a line, \
    is such a text.\n\nPermissions are for every resource, with * for its id. Where a root key is for one API only, put \
    its id there: api.api_123.create_key. Ids are not taken from the script, since most operations name a key and not its \
    API.";

/// Longest script that is read, bytes.
const MAX_SCRIPT: u64 = 16 << 20;

/// Which operations.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("asked").required(true).multiple(true).args(["operation", "for_script"]))]
pub struct For {
    /// Operations like keys.createKey
    #[arg(value_name = "OPERATION")]
    operation: Vec<String>,
    /// Those that a script calls, or that a file lists; - reads stdin
    #[arg(long, value_name = "FILE")]
    for_script: Option<PathBuf>,
    /// Include what only some requests need
    #[arg(long)]
    conditional: bool,
}

#[derive(Serialize)]
struct Answer {
    operations: Vec<&'static str>,
    permissions: Vec<String>,
    #[serde(rename = "neededBy")]
    rows: Vec<Needed>,
    conditional: Vec<Conditional>,
    notes: Vec<&'static str>,
    command: String,
}

#[derive(Serialize)]
struct Needed {
    permission: String,
    operations: Vec<&'static str>,
}

#[derive(Serialize)]
struct Conditional {
    permission: String,
    operation: &'static str,
    condition: &'static str,
}

impl For {
    pub(super) fn run(&self, out: Out) -> Result<(), Failure> {
        let mut asked: Vec<&'static Operation> =
            self.operation.iter().map(|name| find(name).map_err(Failure::usage)).collect::<Result<_, _>>()?;
        if let Some(path) = &self.for_script {
            let text = read(path)?;
            asked.extend(script::operations(&text).map_err(Failure::usage)?);
        }
        // Each once, in the order of the table.
        let is_asked = |operation: &&Operation| asked.iter().any(|asked| asked.name == operation.name);
        let answer = answer(&OPERATIONS.iter().filter(is_asked).collect::<Vec<_>>(), self.conditional);
        out.data(&answer, || told(&answer))
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let is_stdin = path.as_os_str() == "-";
    let mut bytes = Vec::new();
    let read = if is_stdin {
        io::stdin().take(MAX_SCRIPT).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_SCRIPT).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::failed(format!("{} cannot be read: {error}", path.display())))?;
    // A script is mostly text; what is not is no operation.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The operation of this name, be it with the path before it.
pub(in crate::cli) fn find(name: &str) -> Result<&'static Operation, String> {
    let bare = name.trim_start_matches('/');
    let bare = bare.strip_prefix("v2/").or_else(|| bare.strip_prefix("v1/")).unwrap_or(bare);
    OPERATIONS.iter().find(|operation| operation.name == bare).ok_or_else(|| {
        // Who leaves out the group is helped as well, and so is who writes it otherwise.
        let far = |operation: &&Operation| {
            let (known, asked) = (operation.name.to_lowercase(), bare.to_lowercase());
            let method = known.split_once('.').map_or(known.as_str(), |(_, method)| method);
            config::distance(&known, &asked).min(config::distance(method, &asked))
        };
        let hint = OPERATIONS.iter().min_by_key(far).map(|near| format!("; did you mean {}?", near.name));
        format!("there is no operation `{name}`{}", hint.unwrap_or_default())
    })
}

fn answer(operations: &[&'static Operation], with_conditional: bool) -> Answer {
    let mut rows = Vec::new();
    let mut conditional = Vec::new();
    for action in Action::ALL {
        let uses = |actions: &[Action]| actions.contains(action);
        let always: Vec<_> = operations.iter().filter(|operation| uses(operation.needs)).copied().collect();
        let sometimes: Vec<_> = operations.iter().filter(|operation| uses(operation.also)).copied().collect();
        let counted: Vec<_> = match with_conditional {
            true => operations.iter().filter(|one| uses(one.needs) || uses(one.also)).copied().collect(),
            false => always,
        };
        let is_held = !counted.is_empty();
        if is_held {
            let operations = counted.iter().map(|operation| operation.name).collect();
            rows.push(Needed { permission: action.on("*"), operations });
        }
        // What is held anyway needs no condition.
        conditional.extend(sometimes.iter().filter(|_| !is_held).map(|operation| Conditional {
            permission: action.on("*"),
            operation: operation.name,
            condition: condition(operation.name, *action),
        }));
    }
    let permissions: Vec<_> = rows.iter().map(|row| row.permission.clone()).collect();
    let gives = |operation: &&&Operation| ["rootKeys.createKey", "rootKeys.updateKey"].contains(&operation.name);
    let note = "A root key gives to others only what it holds itself: add what it is to give.";
    Answer {
        operations: operations.iter().map(|operation| operation.name).collect(),
        rows,
        conditional,
        notes: operations.iter().find(gives).map(|_| note).into_iter().collect(),
        command: format!("keyward root-key create --workspace NAME-OR-ID --permissions '{}'", permissions.join(",")),
        permissions,
    }
}

/// When an operation asks for what only some of its requests need.
fn condition(operation: &str, action: Action) -> &'static str {
    match (operation, action) {
        ("keys.rerollKey", Action::EncryptKey) => "if the key is recoverable",
        (_, Action::EncryptKey) => "if `recoverable` is true",
        (_, Action::DecryptKey) => "if `decrypt` is true",
        (_, Action::CreatePermission) => "if it names a permission that does not exist yet",
        (_, Action::AddPermissionToRole) => "if it gives the role permissions",
        (_, Action::CreateNamespace) => "if the namespace does not exist yet",
        ("keys.verifyKey", Action::ReadDecision) => "if `explain` is true",
        (_, Action::ReadDecision) => "for other records than those of the calling root key's own denials",
        _ => "",
    }
}

fn told(answer: &Answer) -> String {
    let mut parts = Vec::new();
    if answer.rows.is_empty() {
        parts.push("No permission is needed: every root key may do that.".to_owned());
    } else {
        let rows: Vec<_> = answer.rows.iter().map(|row| [row.permission.clone(), row.operations.join(", ")]).collect();
        parts.push(table(["PERMISSION", "NEEDED BY"], &rows));
    }
    if !answer.conditional.is_empty() {
        let row = |row: &Conditional| [row.permission.clone(), format!("{} {}", row.operation, row.condition)];
        let rows: Vec<_> = answer.conditional.iter().map(row).collect();
        parts.push(table(["ONLY SOME REQUESTS NEED", "WHICH"], &rows));
    }
    parts.extend(answer.notes.iter().map(|note| (*note).to_owned()));
    parts.push(answer.command.clone());
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::condition;
    use super::find;
    use crate::http::operations::OPERATIONS;

    #[test]
    fn whatever_only_some_requests_need_has_its_condition_in_words() {
        for operation in OPERATIONS {
            for action in operation.also {
                assert!(!condition(operation.name, *action).is_empty(), "{}: {action:?}", operation.name);
            }
        }
    }

    #[test]
    fn the_nearest_operation_is_suggested() {
        for (asked, meant) in [
            ("keys.createkey", "keys.createKey"),
            ("verifyKey", "keys.verifyKey"),
            ("/v2/api.createApi", "apis.createApi"),
            ("ratelimits.limit", "ratelimit.limit"),
        ] {
            let said = find(asked).unwrap_err();
            assert!(said.contains(asked) && said.ends_with(&format!("did you mean {meant}?")), "{said}");
        }
        for name in ["keys.createKey", "/v2/keys.createKey", "v1/keys.createKey"] {
            assert_eq!(find(name).unwrap().name, "keys.createKey");
        }
    }
}
