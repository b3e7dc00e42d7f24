//! The code map in `src/lib.rs` is the tree as it is: every file, with the line that it opens with. `make tables` writes it anew.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Compares a generated part of a file, between `<!-- name -->` and `<!-- /name -->`, with what it has to be. With
/// `KEYWARD_TEST_UPDATE` set it writes it.
pub fn replace_section(file: &str, name: &str, expected: &str) {
    // Tests of one file may run at once.
    static ONE: Mutex<()> = Mutex::new(());
    let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open).unwrap_or_else(|| panic!("{file} has no {open}"));
    let (inside, after) = rest.split_once(&close).unwrap_or_else(|| panic!("{file} has no {close}"));
    // The closing mark may stand behind a comment's sign.
    let (current, sign) = inside.rsplit_once('\n').unwrap_or(("", inside));
    if current == expected {
        return;
    }
    assert!(
        std::env::var_os("KEYWARD_TEST_UPDATE").is_some(),
        "{file}: the part `{name}` is out of date; `make tables` writes it anew, as\n\n{expected}\n"
    );
    fs::write(&path, format!("{before}{open}{expected}\n{sign}{close}{after}")).unwrap();
}

/// The lines of a folder: its files first, `mod.rs` as the folder's own line, then its folders.
fn tree(folder: &Path, depth: usize, out: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort_by_key(|path| (path.is_dir(), path.clone()));
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        let indent = "  ".repeat(depth);
        if path.is_dir() {
            let own = fs::read_to_string(path.join("mod.rs")).unwrap();
            out.push(row(&format!("{indent}{name}/"), opening(&own)));
            tree(&path, depth + 1, out);
        } else if let Some(stem) = name.strip_suffix(".rs").filter(|stem| !["lib", "mod"].contains(stem)) {
            out.push(row(&format!("{indent}{stem}"), opening(&fs::read_to_string(&path).unwrap())));
        }
    }
}

fn opening(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches("//!").trim()
}

fn row(name: &str, opening: &str) -> String {
    format!("//! {name:<20}{opening}").trim_end().to_owned()
}

#[test]
fn the_code_map_is_the_tree() {
    let mut lines = Vec::new();
    tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), 0, &mut lines);
    replace_section("src/lib.rs", "tree", &format!("//! ```text\n{}\n//! ```", lines.join("\n")));
}
