//! The README keeps its word: its commands and programs run as printed and print what it says, its links lead somewhere.

mod tables;

use crate::harness::Server;
use crate::harness::fixtures::operate;
use crate::harness::postgres;
use crate::harness::server::Options;
use crate::sdk;
use keyward::domain::root_keys;
use keyward::model::secret::Plaintext;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::time::Duration;
use std::time::Instant;

/// Where the README's server listens. The tests put their own in its place, and change nothing else.
const ADDRESS: &str = "http://127.0.0.1:8080";
/// Before a block of commands or a program that is run.
const RUN: &str = "<!-- run";
/// Before a block that holds what the one before it prints; `…` stands for what differs each time.
const PRINTS: &str = "<!-- prints -->";
const ROOT_KEY: &str = "keyward_root_of_the_readme_and_of_nobody_else";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// A marked block: what is asked of it, its text, and what it prints.
#[derive(Debug)]
struct Block {
    mark: String,
    text: String,
    prints: Option<String>,
}

/// All blocks marked to be run, in order.
fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with(RUN) && line != PRINTS {
            continue;
        }
        assert!(lines.next().is_some_and(|fence| fence.starts_with("```")), "{line}: a block has to follow at once");
        let text: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        let text = text.join("\n");
        if line == PRINTS {
            blocks.last_mut().unwrap().prints = Some(text);
        } else {
            let mark = line.trim_start_matches(RUN).trim_end_matches("-->").trim().to_owned();
            blocks.push(Block { mark, text, prints: None });
        }
    }
    blocks
}

/// Whether a text is as the README shows it.
fn matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// A server as `keyward dev` leaves it: a workspace `default`, an admin root key in `.keyward/root-key`, here below `folder`.
fn like_dev(folder: &Path) -> Server {
    let server = Options::default().database(postgres::fresh_database()).start();
    // The README counts by the hour: none ends between two of its commands.
    let hour_ms = 3_600_000;
    server.clock.advance(chrono::Duration::milliseconds(hour_ms - server.clock.now().timestamp_millis() % hour_ms));
    operate(&server, |tx| root_keys::bootstrap(tx, &Plaintext::new(ROOT_KEY)));
    fs::create_dir(folder.join(".keyward")).unwrap();
    fs::write(folder.join(".keyward/root-key"), format!("{ROOT_KEY}\n")).unwrap();
    server
}

/// A folder in which programs find the SDK.
fn folder_with_sdk() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::os::unix::fs::symlink(sdk::node_modules(), folder.path().join("node_modules")).unwrap();
    folder
}

fn everything(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn its_commands_and_programs_run_as_printed() {
    let folder = folder_with_sdk();
    let server = like_dev(folder.path());
    let blocks: Vec<_> =
        blocks(&readme()).into_iter().filter(|block| block.mark.is_empty() || block.mark == "example.mjs").collect();
    assert!(blocks.len() >= 5, "{blocks:#?}");
    // One shell for all, as a reader has; what a block prints goes into a file of its own.
    let mut script = String::new();
    for (number, block) in blocks.iter().enumerate() {
        let text = block.text.replace(ADDRESS, &server.url());
        if block.mark.is_empty() {
            script.push_str(&format!("exec >{number}.out\n{text}\n"));
        } else {
            fs::write(folder.path().join(&block.mark), text).unwrap();
            script.push_str(&format!("exec >{number}.out\nROOT_KEY=$ROOT_KEY KEY=$KEY node {}\n", block.mark));
        }
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_keyward")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path))).unwrap();
    let output = Command::new("sh")
        .args(["-eu", "-c", &script])
        .current_dir(&folder)
        .env("PATH", path)
        .env("DATABASE_URL", &server.database)
        .output()
        .unwrap();
    for (number, block) in blocks.iter().enumerate() {
        let printed = fs::read_to_string(folder.path().join(format!("{number}.out"))).unwrap_or_default();
        let shown = block.prints.as_deref().unwrap_or_default();
        let context = format!("\n{}\n\nprints\n{printed}\n\nand not\n{shown}\n\n{}", block.text, everything(&output));
        assert!(matches(shown.trim(), printed.trim()), "{context}");
    }
    assert!(output.status.success(), "{}", everything(&output));
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn status_of(url: &str, key: Option<&str>) -> Option<u16> {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(10)));
    let request = ureq::Agent::from(config.build()).get(url);
    let request = match key {
        Some(key) => request.header("authorization", format!("Bearer {key}")),
        None => request,
    };
    request.call().ok().map(|answer| answer.status().as_u16())
}

#[test]
fn its_service_lets_valid_keys_in_and_nobody_when_keyward_is_away() {
    let folder = folder_with_sdk();
    let server = like_dev(folder.path());
    let admin = crate::harness::Client::new(server.url()).bearer(ROOT_KEY);
    let api = admin.ok("apis.createApi", serde_json::json!({"name": "service"}))["apiId"].clone();
    let key = admin.ok("keys.createKey", serde_json::json!({"apiId": api}));
    let plaintext = key["key"].as_str().unwrap();

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let block = blocks(&readme()).into_iter().find(|block| block.mark == "service.mjs").unwrap();
    assert!(block.text.contains("3000"));
    let text = block.text.replace(ADDRESS, &server.url()).replace("3000", &port.to_string());
    fs::write(folder.path().join("service.mjs"), text).unwrap();
    let service = Command::new("node")
        .arg("service.mjs")
        .current_dir(&folder)
        .env("VERIFY_ROOT_KEY", ROOT_KEY)
        .env_remove("NODE_OPTIONS")
        .spawn()
        .unwrap();
    let _service = Running(service);
    let url = format!("http://127.0.0.1:{port}/");
    let begun = Instant::now();
    while status_of(&url, None).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the service does not start");
        std::thread::park_timeout(Duration::from_millis(20));
    }

    assert_eq!(status_of(&url, None), Some(401));
    assert_eq!(status_of(&url, Some("never_issued")), Some(401));
    assert_eq!(status_of(&url, Some(plaintext)), Some(200));
    admin.ok("keys.updateKey", serde_json::json!({"keyId": key["keyId"], "enabled": false}));
    assert_eq!(status_of(&url, Some(plaintext)), Some(403));
    admin
        .ok("keys.updateKey", serde_json::json!({"keyId": key["keyId"], "enabled": true, "credits": {"remaining": 1}}));
    assert_eq!(status_of(&url, Some(plaintext)), Some(200));
    assert_eq!(status_of(&url, Some(plaintext)), Some(429), "its credit is spent");
    admin.ok("keys.updateKey", serde_json::json!({"keyId": key["keyId"], "credits": null}));
    server.stop();
    assert_eq!(status_of(&url, Some(plaintext)), Some(503));
}

/// Targets of the links of a Markdown text that are files of this tree.
fn links(markdown: &str) -> BTreeSet<String> {
    let targets = markdown.split("](").skip(1).filter_map(|after| after.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn its_links_lead_to_files() {
    for page in ["README.md", "docs/operations.md", "docs/migrate.md", "CHANGELOG.md"] {
        let page: PathBuf = root().join(page);
        for link in links(&fs::read_to_string(&page).unwrap()) {
            assert!(page.parent().unwrap().join(&link).exists(), "{}: {link} is not there", page.display());
        }
    }
}

#[test]
fn its_links_within_lead_to_headings() {
    let readme = readme();
    let headings: BTreeSet<_> = readme
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let name = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            name.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
        })
        .collect();
    let anchors = readme.split("](#").skip(1).filter_map(|after| after.split(')').next());
    for anchor in anchors {
        assert!(headings.contains(anchor), "#{anchor} is no heading");
    }
}

/// A check that cannot fail is none.
#[test]
fn what_is_printed_is_compared() {
    assert!(matches("a…c", "abc") && matches("…", "") && matches("abc", "abc") && matches("a…b…c", "a12b34c"));
    assert!(!matches("a…c", "abcd") && !matches("abc", "abcd") && !matches("", "a") && !matches("b…", "ab"));
}
