//! The binary as a script runs it: in an environment and a folder of its own; what it printed and how it ended.

use rustix::process::Pid;
use rustix::process::Signal;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;
use tempfile::TempDir;

/// Longest time that anything here waits for the binary.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits a moment for another process, which no clock of this one moves.
pub fn pause() {
    wait(Duration::from_millis(5));
}

/// Waits for other processes.
#[expect(clippy::disallowed_methods, reason = "a test waits for another process here")]
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// A folder that the account which runs Postgres can enter, too.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// A command line of `keyward`, arguments separated by blanks.
pub fn keyward(arguments: &str) -> Keyward {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env_clear().current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.args(arguments.split_whitespace());
    Keyward { command, folder }
}

/// A command that has not run yet.
pub struct Keyward {
    command: Command,
    folder: TempDir,
}

impl Keyward {
    /// Adds one argument as it is.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Names the database.
    pub fn database(self, url: &str) -> Self {
        self.env("DATABASE_URL", url)
    }

    /// Names the data folder.
    pub fn data_dir(self, folder: &Path) -> Self {
        self.arg("--data-dir").arg(folder)
    }

    /// Runs it to its end.
    pub fn run(self) -> Ran {
        self.start().end()
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let stdout = Gathered::of(child.stdout.take().unwrap());
        let stderr = Gathered::of(child.stderr.take().unwrap());
        Running { child, stdout, stderr, _folder: self.folder }
    }
}

/// What a stream has brought so far.
struct Gathered {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Gathered {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let filled = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                filled.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        Self { text, thread: Some(thread) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

/// A running process. It is told to stop when dropped.
pub struct Running {
    child: Child,
    stdout: Gathered,
    stderr: Gathered,
    _folder: TempDir,
}

impl Running {
    /// What it has said on stderr.
    pub fn said(&self) -> String {
        self.stderr.so_far()
    }

    /// What it has printed on stdout.
    pub fn printed(&self) -> String {
        self.stdout.so_far()
    }

    /// Waits until it serves; returns where.
    pub fn url(&mut self) -> String {
        self.wait_for("serves on http://", Self::said);
        let said = self.said();
        let url = said.split("serves on ").nth(1).unwrap();
        url.split_whitespace().next().unwrap().to_owned()
    }

    /// Waits until a stream holds a line with this text.
    pub fn wait_for(&mut self, text: &str, stream: fn(&Self) -> String) {
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait().unwrap();
            let found = stream(self).split_once(text).is_some_and(|(_, rest)| rest.contains('\n'));
            if found {
                return;
            }
            assert!(ended.is_none(), "it ended with {ended:?} before `{text}`: {}", self.said());
            assert!(begun.elapsed() < PATIENCE, "no `{text}`: {}", self.said());
            pause();
        }
    }

    /// Threads that it has now.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().count()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Ran {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            pause();
        };
        for stream in [&mut self.stdout, &mut self.stderr] {
            stream.thread.take().unwrap().join().unwrap();
        }
        Ran { code: status.code(), stdout: self.printed(), stderr: self.said(), took: begun.elapsed() }
    }

    /// Sends it a signal and waits until it has ended.
    pub fn end_by(self, signal: Signal) -> Ran {
        self.signal(signal);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::TERM);
            let begun = Instant::now();
            while self.child.try_wait().is_ok_and(|status| status.is_none()) && begun.elapsed() < PATIENCE / 3 {
                pause();
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
    /// How long it was waited for.
    pub took: Duration,
}

impl Ran {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Asserts a failure that prints nothing to stdout; returns what it said.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        let ran = self.exits(code);
        assert_eq!(ran.stdout, "");
        ran.stderr
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let ran = self.ok();
        assert_eq!(ran.stderr, "", "with --json nothing is said beside the result");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
    }

    /// The last line of stdout.
    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}
