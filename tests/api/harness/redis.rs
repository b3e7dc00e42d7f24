//! A throw-away Redis: without persistence, on a socket of its own, ending with the tests however they end.

use crate::harness::eventually;
use crate::harness::process;
use rustix::process::Pid;
use rustix::process::Signal;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;

/// Ends when its stdin does, and takes Redis along: the pipe closes with this process, even by SIGKILL.
const KEEPER: &str = r#"redis-server "$@" >/dev/null 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null"#;

/// A running Redis. It ends when dropped, and with this process.
pub struct Redis {
    folder: TempDir,
    keeper: Child,
    pid: Pid,
}

impl Redis {
    /// The one that most tests share, each with counters of its own.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Redis> = LazyLock::new(Redis::start);
        &SHARED
    }

    /// One of its own, which may be hurt.
    pub fn start() -> Self {
        let folder = process::folder();
        let (keeper, pid) = spawn(&folder.path().join("redis.sock"));
        let redis = Self { folder, keeper, pid };
        redis.wait();
        redis
    }

    /// Its connection string.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Ends it at once. What it counted is lost.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.keeper.stdin.take();
        self.keeper.wait().unwrap();
    }

    /// Starts it again, empty.
    pub fn restart(&mut self) {
        (self.keeper, self.pid) = spawn(&self.socket());
        self.wait();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid, signal).unwrap();
    }

    /// What it answers to a command in its inline form, as it stands on the wire.
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap()
    }

    fn try_ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "{command}\r\nQUIT\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.trim_end().trim_end_matches("+OK").trim_end().to_owned())
    }

    fn wait(&self) {
        eventually("Redis answers", || self.try_ask("PING").ok().filter(|answer| answer == "+PONG"));
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.keeper.stdin.take();
        let _ = self.keeper.wait();
    }
}

fn spawn(socket: &std::path::Path) -> (Child, Pid) {
    let mut command = Command::new("sh");
    command
        .args(["-c", KEEPER, "keeper", "--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(socket);
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (keeper, Pid::from_raw(line.trim().parse().unwrap()).unwrap())
}
