//! `keyward dev`: the first minutes, in real processes.

use crate::harness::Client;
use crate::harness::keyward;
use crate::harness::process;
use crate::harness::process::Keyward;
use crate::harness::process::Running;
use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

/// A place with a data folder to be, whose name needs quoting.
struct Place {
    _parent: TempDir,
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        let parent = process::folder();
        let folder = parent.path().join("my data");
        Self { _parent: parent, folder }
    }

    fn dev(&self) -> Keyward {
        keyward("dev --listen 127.0.0.1:0").data_dir(&self.folder)
    }

    fn root_key(&self) -> String {
        read(&self.folder.join("root-key"))
    }

    /// The root key, once the instance has said all that it says at its start.
    fn root_key_of(&self, dev: &mut Running) -> String {
        dev.wait_for("Ctrl-C stops", Running::said);
        self.root_key()
    }

    /// A command on the data folder.
    fn command(&self, arguments: &str) -> Keyward {
        keyward(arguments).data_dir(&self.folder)
    }

    /// The process id of its Postgres.
    fn postgres(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.folder.join("postgres/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/exe")).exists()
}

/// Everything in a folder, to show that something did not touch it.
fn contents(folder: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| (entry.path(), std::fs::symlink_metadata(entry.path()).unwrap().modified().unwrap()))
        .collect();
    found.sort();
    found
}

fn admin(dev: &mut Running, root_key: &str) -> Client {
    Client::new(dev.url()).bearer(root_key)
}

/// Runs the lines under `Try it:` in a shell; returns what the last one printed.
fn try_it(said: &str) -> Value {
    let lines: Vec<_> = said.split("Try it:").nth(1).unwrap().lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(lines.len(), 4, "{said}");
    let output = Command::new("sh").arg("-euc").arg(lines.join("\n")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A recoverable key, made with this root key.
fn recoverable(client: &Client) -> Value {
    let api = client.ok("apis.createApi", json!({"name": "mine"}))["apiId"].clone();
    client.ok("apis.updateApi", json!({"apiId": api, "recoverable": true}));
    client.ok("keys.createKey", json!({"apiId": api, "recoverable": true}))
}

#[test]
fn the_first_start_shows_a_root_key_once_and_lines_that_work() {
    let place = Place::new();
    let mut dev = place.dev().start();
    let url = dev.url();
    dev.wait_for("Ctrl-C stops", Running::said);
    let (said, key) = (dev.said(), place.root_key());
    assert!(!url.ends_with(":0"), "the real port: {url}");
    assert_eq!(said.matches(&key).count(), 1, "the root key is shown once");
    for secret in ["root-key", "master-key"] {
        assert_eq!(mode(&place.folder.join(secret)), 0o600, "{secret}");
    }
    assert_eq!(mode(&place.folder) & 0o022, 0, "others cannot write the folder");
    let verified = try_it(&said);
    assert_eq!((&verified["data"]["valid"], &verified["data"]["code"]), (&json!(true), &json!("VALID")));
    let ended = dev.end_by(Signal::TERM).ok();
    assert!(ended.stdout.is_empty() && ended.stderr.contains("has stopped"), "{ended:?}");
}

#[test]
fn a_later_start_reuses_everything_in_under_a_second() {
    let place = Place::new();
    let mut dev = place.dev().start();
    let url = dev.url();
    let key = place.root_key();
    let made = recoverable(&Client::new(&url).bearer(&key));
    let postgres = place.postgres().unwrap();
    dev.end_by(Signal::TERM).ok();
    assert!(!is_running(postgres) && place.postgres().is_none(), "SIGTERM stops Postgres, too");

    let begun = Instant::now();
    let mut dev = place.dev().start();
    let url = dev.url();
    let took = begun.elapsed();
    dev.wait_for("Ctrl-C stops", Running::said);
    assert!(took < Duration::from_secs(1), "it took {took:?}");
    assert_eq!(place.root_key(), key);
    assert!(!dev.said().contains(&key), "it is not shown again");
    let shown = Client::new(&url).bearer(&key).ok("keys.getKey", json!({"keyId": made["keyId"], "decrypt": true}));
    assert_eq!(shown["plaintext"], made["key"], "recoverable keys work out of the box");
    let postgres = place.postgres().unwrap();
    dev.end_by(Signal::INT).ok();
    assert!(!is_running(postgres), "so does Ctrl-C");
}

#[test]
fn commands_reach_the_folder_whether_it_runs_or_not() {
    let place = Place::new();
    let mut dev = place.dev().start();
    let url = dev.url();
    let rows = place.command("workspace list --json").run().json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["name"], json!("default"));
    let minted = place.command("root-key create --workspace default --preset verify").run().ok();
    Client::new(&url).bearer(minted.last_line()).ok("keys.verifyKey", json!({"key": "sk_unknown"}));
    let ring = place.folder.join("master-key");
    let rotated = place.command("master-key rotate --json").env("KEYWARD_MASTER_KEY_FILE", &ring).run().json();
    assert_eq!(rotated, json!({"resealed": 0}));
    place.command("doctor").run().ok();
    drop(dev);
    assert!(place.postgres().is_none());
    let listed = place.command("root-key list --json").run().json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(place.command("migrate --json").run().json(), json!([]));
    assert!(place.postgres().is_none(), "and leave nothing running");
}

#[test]
fn after_kill_9_the_next_start_has_everything() {
    let place = Place::new();
    let mut dev = place.dev().start();
    let url = dev.url();
    let key = place.root_key();
    let api = Client::new(&url).bearer(&key).ok("apis.createApi", json!({"name": "mine"}))["apiId"].clone();
    dev.signal(Signal::KILL);
    assert_eq!(dev.end().code, None);
    let mut dev = place.dev().start();
    admin(&mut dev, &key).ok("apis.getApi", json!({"apiId": api}));
}

#[test]
fn a_second_instance_on_the_folder_is_refused() {
    let place = Place::new();
    let mut dev = place.dev().start();
    let key = place.root_key_of(&mut dev);
    let before = contents(&place.folder);
    let said = place.dev().run().fails(1);
    assert!(said.lines().count() == 1 && said.contains(&place.folder.display().to_string()), "{said}");
    let refused: Value = serde_json::from_str(&place.dev().arg("--json").run().fails(1)).unwrap();
    assert_eq!(refused["error"]["exit"], json!(1));
    assert_eq!(contents(&place.folder), before);
    admin(&mut dev, &key).ok("apis.createApi", json!({"name": "mine"}));
}

#[test]
fn a_busy_port_is_refused_and_the_folder_left_alone() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = keyward("dev --listen").arg(&address).data_dir(&place.folder).run().fails(1);
    assert!(said.lines().count() == 1 && said.contains(&address) && said.contains("--listen"), "{said}");
    assert!(!place.folder.exists());
}

#[test]
fn a_root_key_that_is_lost_or_revoked_is_minted_anew() {
    let place = Place::new();
    let mut dev = place.dev().start();
    let first = place.root_key_of(&mut dev);
    let file = place.folder.join("root-key");
    drop(dev);
    std::fs::remove_file(&file).unwrap();
    let mut dev = place.dev().start();
    let second = place.root_key_of(&mut dev);
    assert!(second != first && dev.said().contains(&second));
    assert_eq!(mode(&file), 0o600);
    for key in [&first, &second] {
        admin(&mut dev, key).ok("apis.createApi", json!({"name": "mine"}));
    }
    for row in place.command("root-key list --json").run().json().as_array().unwrap() {
        place.command("root-key revoke").arg(row["keyId"].as_str().unwrap()).run().ok();
    }
    drop(dev);
    let mut dev = place.dev().start();
    let third = place.root_key_of(&mut dev);
    assert!(third != second && dev.said().contains(&third));
    admin(&mut dev, &third).ok("apis.createApi", json!({"name": "mine"}));
}

#[test]
fn its_json_is_one_line_that_a_program_can_read() {
    let place = Place::new();
    let mut dev = place.dev().arg("--json").start();
    dev.wait_for("}", Running::printed);
    let started: Value = serde_json::from_str(&dev.printed()).unwrap();
    let text = |name: &str| started[name].as_str().unwrap().to_owned();
    assert_eq!(PathBuf::from(text("dataDir")), place.folder);
    let client = Client::new(text("url")).bearer(read(Path::new(&text("rootKeyFile"))));
    client.ok("apis.createApi", json!({"name": "mine"}));
    let rows = keyward("workspace list --json").database(&text("databaseUrl")).run().json();
    assert_eq!(rows[0]["name"], json!("default"));
    let ended = dev.end_by(Signal::TERM).ok();
    assert!(ended.stdout.lines().count() == 1 && !ended.stdout.contains(&place.root_key()));
    assert!(ended.stderr.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", ended.stderr);
}

#[test]
fn a_signal_during_the_start_stops_postgres_too() {
    let place = Place::new();
    let dev = place.dev().start();
    let begun = Instant::now();
    let postgres = loop {
        // Not the passing one that makes the database, but the one that serves.
        let log = std::fs::metadata(place.folder.join("postgres.log"));
        match place.postgres().filter(|_| log.is_ok()) {
            Some(pid) => break pid,
            None => process::pause(),
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    };
    let ended = dev.end_by(Signal::TERM).ok();
    assert!(!is_running(postgres), "{ended:?}");
    let mut dev = place.dev().start();
    admin(&mut dev, &place.root_key()).ok("apis.createApi", json!({"name": "mine"}));
}

#[test]
fn dev_and_a_database_url_exclude_each_other() {
    let place = Place::new();
    let said = place.dev().database("postgres://u:hush@h/db").run().fails(2);
    assert!(said.contains("keyward serve") && !said.contains("hush"), "{said}");
    assert!(!place.folder.exists());
    let said = place.command("workspace list").run().fails(1);
    assert!(said.lines().count() == 1 && !place.folder.exists(), "{said}");
}
