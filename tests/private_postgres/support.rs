//! Other Keywards to kill, questions to databases, and folders for the tests of the private Postgres.

use diesel::Connection;
use diesel::PgConnection;
use diesel::QueryableByName;
use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use keyward::cli::postgres::Fault;
use keyward::cli::postgres::PrivatePostgres;
use rustix::process::Pid;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// Another Keyward with a running server.
pub(crate) struct Keyward {
    pub(crate) process: Child,
    pub(crate) server: u32,
    pub(crate) url: String,
}

impl Keyward {
    pub(crate) fn command(kind: &str, dir: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture"]).stderr(Stdio::null());
        command.env("KEYWARD_TEST_CHILD", kind).env("KEYWARD_TEST_DIR", dir);
        command
    }

    pub(crate) fn spawn(kind: &str, dir: &Path) -> Child {
        Self::command(kind, dir).stdout(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn start(kind: &str, dir: &Path) -> Self {
        let mut process = Self::spawn(kind, dir);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with("READY ") || line.starts_with("FAULT ")).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "READY", "{line}");
        Self { process, server: words[1].parse().unwrap(), url: words[2].to_owned() }
    }

    pub(crate) fn kill_9(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    answer: String,
}

pub(crate) fn ask(url: &str, sql: &str) -> String {
    diesel::sql_query(sql).get_result::<Row>(&mut PgConnection::establish(url).unwrap()).unwrap().answer
}

pub(crate) fn show(postgres: &PrivatePostgres, setting: &str) -> String {
    ask(postgres.url(), &format!("SELECT current_setting('{setting}') AS answer"))
}

pub(crate) fn run(url: &str, sql: &str) {
    diesel::sql_query(sql).execute(&mut PgConnection::establish(url).unwrap()).unwrap();
}

pub(crate) fn refused(result: Result<PrivatePostgres, Fault>) -> String {
    let line = result.map(drop).unwrap_err().to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

/// A folder of mode 0700, as somebody's own folder would be.
pub(crate) fn data_dir() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

pub(crate) fn socket_folder(postgres: &PrivatePostgres) -> PathBuf {
    PathBuf::from(show(postgres, "unix_socket_directories"))
}

pub(crate) fn drafts(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("postgres.new")).collect()
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}

/// A cluster that root has put elsewhere is not removed with the data folder.
pub(crate) fn remove_if_elsewhere(postgres: PrivatePostgres, dir: &Path) {
    let cluster = postgres.cluster_dir();
    postgres.stop().unwrap();
    if !cluster.starts_with(dir.canonicalize().unwrap()) {
        fs::remove_dir_all(cluster.parent().unwrap()).unwrap();
    }
}

/// A zombie that nobody has waited for yet is not running.
pub(crate) fn is_running(number: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &number.to_string()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Whether any process has the folder in its command line: the server, its watcher.
pub(crate) fn is_in_use(dir: &Path) -> bool {
    let output = Command::new("ps").args(["-eww", "-o", "args="]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains(&*dir.to_string_lossy())
}

/// Only root may, and not in every container.
pub(crate) fn mount(dir: &Path, options: &str) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

pub(crate) fn unmount(dir: &Path) {
    let _ = Command::new("umount").arg(dir).stderr(Stdio::null()).status();
}

#[expect(clippy::disallowed_methods, reason = "the tests wait for other processes")]
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}
