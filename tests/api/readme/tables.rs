//! The tables of the README are those of the program: operations, settings, commands, codes.
//! `make tables` writes them anew.

use crate::codemap::replace_section;
use keyward::authz::action::Action;
use keyward::http::operations::OPERATIONS;
use keyward::model::code::Code;
use std::collections::BTreeMap;

fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let head = line(header.iter().map(|cell| (*cell).to_owned()).collect());
    let rule = line(header.iter().map(|_| "---".to_owned()).collect());
    [head, rule].into_iter().chain(rows.into_iter().map(line)).collect::<Vec<_>>().join("\n")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

#[test]
fn the_operations_are_those_of_the_server() {
    let names = |actions: &[Action]| actions.iter().map(|action| code(&action.on("*"))).collect::<Vec<_>>().join(", ");
    let rows =
        OPERATIONS.iter().map(|operation| vec![code(operation.name), names(operation.needs), names(operation.also)]);
    replace_section("README.md", "operations", &table(&["operation", "needs", "some requests also need"], rows));
}

#[test]
fn the_codes_are_those_of_the_server() {
    let rows = Code::ALL.iter().map(|known| {
        let row = known.row();
        vec![row.status.to_string(), format!("[`{}`](docs/errors/{}.md)", row.path, row.path), row.title.to_owned()]
    });
    replace_section("README.md", "codes", &table(&["status", "code", "title"], rows));
}

/// Walks all commands, those without subcommands last.
fn leaves(command: &clap::Command, path: &str, out: &mut Vec<(String, clap::Command)>) {
    for subcommand in command.get_subcommands() {
        let path = format!("{path} {}", subcommand.get_name());
        if subcommand.has_subcommands() {
            leaves(subcommand, &path, out);
        } else {
            out.push((path, subcommand.clone()));
        }
    }
}

fn commands() -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    leaves(&keyward::cli::command(), "keyward", &mut found);
    found
}

/// What must be given: `NAME`, `<--preset …>` and the like are left to `--help`.
fn arguments(command: &clap::Command) -> String {
    let names = command.get_positionals().filter_map(|argument| argument.get_value_names()?.first().cloned());
    names.map(|name| format!(" {name}")).collect()
}

#[test]
fn the_commands_are_those_of_the_program() {
    let rows = commands().into_iter().map(|(path, command)| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        vec![code(&format!("{path}{}", arguments(&command))), about]
    });
    replace_section("README.md", "commands", &table(&["command", "what it does"], rows));
}

#[test]
fn the_settings_are_those_of_the_program() {
    let mut settings = BTreeMap::new();
    let top = keyward::cli::command();
    let all = std::iter::once(top.clone()).chain(commands().into_iter().map(|(_, command)| command));
    for command in all {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let Some(variable) = argument.get_env() else { continue };
            let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
            let row = [
                code(&argument.get_long().map(|long| format!("--{long}")).unwrap_or_default()),
                code(&defaults.join(",")),
                argument.get_help().map(ToString::to_string).unwrap_or_default(),
            ];
            settings.entry(variable.to_string_lossy().into_owned()).or_insert(row);
        }
    }
    assert_eq!(settings.keys().cloned().collect::<Vec<_>>(), keyward::cli::settings());
    let rows = settings.into_iter().map(|(variable, row)| std::iter::once(code(&variable)).chain(row).collect());
    replace_section("README.md", "settings", &table(&["variable", "flag", "default", "meaning"], rows));
}
