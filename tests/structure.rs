//! Keeps the shape of the tree true: floors, file length, opening line, queries only in the store.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Lowest first. A module uses only modules that stand before it, and itself.
const FLOORS: &[&str] =
    &["model", "config", "metrics", "authz", "limiter", "store", "domain", "app", "http", "server", "cli"];
/// Longest file, lines.
const MAX_LINES: usize = 500;

struct Source {
    name: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    assert!(!paths.is_empty(), "{folder} holds no Rust file");
    let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
    paths.iter().map(|path| Source { name: name(path), text: fs::read_to_string(path).unwrap() }).collect()
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "node_modules") {
            collect(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

/// What is wrong with one file of `src`.
fn faults(source: &Source) -> Vec<String> {
    let Source { name, text } = source;
    let below = name.strip_prefix("src/").unwrap_or(name);
    let own = below.split(['/', '.']).next().unwrap();
    let mut faults = Vec::new();
    if text.contains("crate::{") {
        faults.push(format!("{name}: write one `use crate::floor::…` a line"));
    }
    if own != "store" && ["RunQueryDsl", "sql_query", "batch_execute"].iter().any(|word| text.contains(word)) {
        faults.push(format!("{name}: queries belong to store"));
    }
    if !["http", "server", "cli"].contains(&own) && text.contains("actix_web::") {
        faults.push(format!("{name}: only http, server and cli know actix"));
    }
    if own == "http" && text.contains("diesel::") {
        faults.push(format!("{name}: http does not know diesel"));
    }
    if !["cli", "domain", "authz"].contains(&own) && text.contains("of_operator(") {
        faults.push(format!("{name}: only the operator's command line makes permits without a caller"));
    }
    let Some(floor) = FLOORS.iter().position(|known| *known == own) else {
        if !["lib", "main"].contains(&own) {
            faults.push(format!("{name}: stands on no floor"));
        }
        return faults;
    };
    for after in text.split("crate::").skip(1) {
        let target: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if FLOORS.iter().position(|known| *known == target).is_some_and(|target| floor < target) {
            faults.push(format!("{name}: {own} may not use {target}"));
        }
    }
    faults
}

/// What is wrong with any file of the project.
fn form(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let mut faults = Vec::new();
    if lines > MAX_LINES {
        faults.push(format!("{}: {lines} lines, {MAX_LINES} are the most", source.name));
    }
    if !source.text.starts_with("//! ") {
        faults.push(format!("{}: does not open with a `//! ` line", source.name));
    }
    faults
}

#[test]
fn the_tree_keeps_its_shape() {
    let found: Vec<_> = sources("src").iter().flat_map(faults).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let found: Vec<_> =
        ["src", "tests", "benches"].iter().flat_map(|folder| sources(folder)).flat_map(|file| form(&file)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A check that cannot fail is none: planted faults are found.
#[test]
fn planted_faults_are_found() {
    let file = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
    for (name, text) in [
        ("src/model/x.rs", "use crate::store::keys;"),
        ("src/domain/x.rs", "use crate::http::rpc;"),
        ("src/domain/x.rs", "use diesel::RunQueryDsl;"),
        ("src/domain/x.rs", "use actix_web::web;"),
        ("src/http/x.rs", "use diesel::prelude::Insertable;"),
        ("src/http/x.rs", "Permit::of_operator(id)"),
        ("src/http/x.rs", "use crate::{model, store};"),
        ("src/helpers/x.rs", ""),
    ] {
        assert_eq!(faults(&file(name, text)).len(), 1, "{name}: {text}");
    }
    assert_eq!(form(&file("x.rs", &"\n".repeat(501))).len(), 2);
}
