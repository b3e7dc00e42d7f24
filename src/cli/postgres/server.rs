//! One running `postgres` process: started, waited for, and stopped in bounded time.

use crate::cli::postgres::Settings;
use crate::cli::postgres::cluster::Cluster;
use crate::cli::postgres::fault::Fault;
use crate::cli::postgres::folder::Folder;
use crate::cli::postgres::pause;
use crate::cli::postgres::socket::SocketFolder;
use rustix::process::Pid;
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Crash recovery of a busy database takes its time.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Backends of a server that was killed may hold the shared memory for a moment.
const STILL_IN_USE: &str = "is still in use";
const RETRY_LIMIT: Duration = Duration::from_secs(15);
const FAST_LIMIT: Duration = Duration::from_secs(20);
/// Postgres itself gives its children 5 s after SIGQUIT.
const IMMEDIATE_LIMIT: Duration = Duration::from_secs(8);

/// A process that is ours to wait for, and the watcher that stops it when Keyward is gone.
#[derive(Debug)]
pub(super) struct Server {
    postgres: Child,
    watcher: Option<Child>,
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Open transactions are rolled back, everything is written.
    Fast,
    /// As in a crash: the next start recovers.
    Immediate,
}

impl Server {
    /// Starts Postgres and returns when it accepts connections.
    pub(super) fn start(
        folder: &Folder,
        cluster: &Cluster,
        socket: &SocketFolder,
        settings: &Settings,
    ) -> Result<Self, Fault> {
        let begun = Instant::now();
        loop {
            let (mut server, log_from) = Self::spawn(folder, cluster, socket, settings)?;
            let Some(end) = server.wait_until_ready(&cluster.path)? else {
                return Ok(server);
            };
            let log = folder.log_since(log_from);
            if !log.contains(STILL_IN_USE) || begun.elapsed() > RETRY_LIMIT {
                return Err(server.refused(folder, end, &log));
            }
            pause();
        }
    }

    fn spawn(
        folder: &Folder,
        cluster: &Cluster,
        socket: &SocketFolder,
        settings: &Settings,
    ) -> Result<(Self, u64), Fault> {
        let program = cluster.binaries.program("postgres");
        let (log, log_from) = folder.log()?;
        let errors = log.try_clone().map_err(|error| Fault::io("write", &folder.log_path(), error))?;
        let mut command = cluster.account.command(&program);
        // A group of its own: Ctrl-C in a terminal is for Keyward, which then stops Postgres after its last query.
        command.process_group(0).stdout(log).stderr(errors);
        command.arg("-D").arg(&cluster.path).arg("-k").arg(socket.path());
        let max_connections = format!("max_connections={}", settings.max_connections);
        for setting in
            ["listen_addresses=", "port=5432", "logging_collector=off", "log_destination=stderr", &max_connections]
        {
            command.args(["-c", setting]);
        }
        // Said both ways, whatever the cluster's own postgresql.conf says.
        let durable = if settings.durable { "on" } else { "off" };
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            command.args(["-c", &format!("{name}={durable}")]);
        }
        let postgres = command.spawn().map_err(|error| Fault::io("run", &program, error))?;
        let mut server = Self { postgres, watcher: None };
        if settings.dies_with_parent {
            server.watch(cluster, settings)?;
        }
        Ok((server, log_from))
    }

    /// A shell that waits for the end of a pipe. The kernel closes it when this process ends, by whatever signal.
    fn watch(&mut self, cluster: &Cluster, settings: &Settings) -> Result<(), Fault> {
        // It compares the pid file first: by then the number may be another's.
        const SCRIPT: &str =
            r#"read -r _; read -r pid < "$2/postmaster.pid" && [ "$pid" = "$1" ] && kill -s "$3" "$1""#;
        let shell = Path::new("/bin/sh");
        let mut command = cluster.account.command(shell);
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.args(["-c", SCRIPT, "keyward-watch"]).arg(self.postgres.id().to_string()).arg(&cluster.path);
        command.arg(if settings.durable { "INT" } else { "QUIT" });
        self.watcher = Some(command.spawn().map_err(|error| Fault::io("run", shell, error))?);
        Ok(())
    }

    /// `None` when it is ready; how it ended when it ended instead.
    fn wait_until_ready(&mut self, cluster: &Path) -> Result<Option<ExitStatus>, Fault> {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT {
            if let Some(status) = self.ended() {
                return Ok(Some(status));
            }
            if is_ready(cluster, self.postgres.id()) {
                return Ok(None);
            }
            pause();
        }
        self.stop(Stop::Immediate)?;
        let limit = START_LIMIT.as_secs();
        Err(Fault::new(format!(
            "Postgres on {} was not ready within {limit} s: see its log, postgres.log",
            cluster.display()
        )))
    }

    fn refused(&mut self, folder: &Folder, end: ExitStatus, log: &str) -> Fault {
        let what = format!("Postgres did not start (log: {})", folder.log_path().display());
        if log.trim().is_empty() { Fault::program(&what, &end.to_string()) } else { Fault::program(&what, log) }
    }

    pub(super) fn pid(&self) -> u32 {
        self.postgres.id()
    }

    /// Stops and waits. A server that has ended already is fine.
    pub(super) fn stop(&mut self, how: Stop) -> Result<(), Fault> {
        let steps = [(Signal::INT, FAST_LIMIT), (Signal::QUIT, IMMEDIATE_LIMIT), (Signal::KILL, IMMEDIATE_LIMIT)];
        let steps = steps.into_iter().skip(if how == Stop::Fast { 0 } else { 1 });
        for (signal, limit) in steps {
            if self.ended().is_none() {
                // Not yet waited for, so the number is still this server's.
                let _ = rustix::process::kill_process(Pid::from_child(&self.postgres), signal);
            }
            let begun = Instant::now();
            while self.ended().is_none() && begun.elapsed() < limit {
                pause();
            }
        }
        if self.ended().is_none() {
            return Err(Fault::new(format!("Postgres, process {}, does not stop", self.pid())));
        }
        Ok(())
    }

    /// How it ended, if it has. The watcher has nothing to watch then.
    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.postgres.try_wait().ok().flatten()?;
        if let Some(mut watcher) = self.watcher.take() {
            let _ = watcher.kill();
            let _ = watcher.wait();
        }
        Some(status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A start that failed half-way leaves nothing behind. After an orderly stop there is nothing left to do.
        let _ = self.stop(Stop::Fast);
    }
}

/// Line 1 of the pid file is the server's number, line 8 its state.
fn is_ready(cluster: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(&pid.to_string()) && lines.nth(6) == Some("ready")
}
