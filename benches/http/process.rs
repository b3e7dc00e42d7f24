//! Processes: each pinned to its cores, none outlives this one, and nothing stays behind however it ends.

use crate::Fault;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::thread::CpuSet;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

/// The role that conducts.
pub const RUN: &str = "role:run";
/// The role of the client.
pub const LOAD: &str = "role:load";
/// The role of what Keyward is compared with.
pub const FLOOR: &str = "role:floor";
/// The role of a process that is about to become another program.
pub const PINNED: &str = "role:pinned";
/// Begins the names of the folders.
const FOLDER: &str = "keyward-bench-";
/// Longest time that the end of all processes is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Microseconds of one tick of `/proc/<pid>/stat`: Linux shows user space 100 ticks a second on every architecture.
const TICK_US: u64 = 10_000;

/// Waits for other processes.
#[expect(clippy::disallowed_methods, reason = "a benchmark waits for other processes")]
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// The process that was started: makes a folder, lets another one work in it, and removes the folder when that has ended,
/// by itself or by a signal.
pub fn look_after(arguments: &[String]) -> Result<ExitCode, Fault> {
    remove_stale_folders();
    let folder = std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
    fs::create_dir(&folder)?;
    // Postgres may run as another account, if this is root.
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o755))?;
    let mut worker = pinned(&[], &std::env::current_exe()?);
    let child = worker.arg(RUN).arg(&folder).args(arguments).process_group(0).spawn();
    let status = child.and_then(|mut child| {
        let pid = Pid::from_child(&child);
        std::thread::spawn(move || forward_signals(pid));
        child.wait()
    });
    let begun = Instant::now();
    // Postgres ends a moment after whoever started it.
    while folder.exists() && begun.elapsed() < PATIENCE {
        if !folder.join("data/postgres/postmaster.pid").exists() {
            let _ = fs::remove_dir_all(&folder);
        }
        wait(Duration::from_millis(20));
    }
    let code = status?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A killed run leaves its folder behind.
fn remove_stale_folders() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let pid = name.strip_prefix(FOLDER).and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn forward_signals(pid: Pid) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;
        let caught = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = caught else { return };
        loop {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
                _ = hangup.recv() => (),
            }
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    });
}

/// A command that runs on these cores only (none named: on all), and dies with this process.
pub fn pinned(cores: &[usize], program: &Path) -> Command {
    // A process can bind only itself without unsafe code, so this program is started first and then becomes the other.
    let own = std::env::current_exe().unwrap_or_else(|_unknown| PathBuf::from("/proc/self/exe"));
    let list: Vec<_> = cores.iter().map(ToString::to_string).collect();
    let mut command = Command::new(own);
    command.arg(PINNED).arg(list.join(",")).arg(std::process::id().to_string()).arg(program);
    command
}

/// Becomes the program that [`pinned`] names.
pub fn become_pinned(arguments: &[String]) -> Result<ExitCode, Fault> {
    let [cores, parent, program, rest @ ..] = arguments else { return Err("a role without its arguments".into()) };
    let cores: Vec<usize> = cores.split(',').filter_map(|core| core.parse().ok()).collect();
    bind(None, &cores)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    if rustix::process::getppid().map(|pid| pid.as_raw_pid().to_string()).as_ref() != Some(parent) {
        return Err("the process that started this one is gone".into());
    }
    Err(Command::new(program).args(rest).exec().into())
}

/// Binds a process (none: this one) to cores, if any are named.
pub fn bind(pid: Option<Pid>, cores: &[usize]) -> Result<(), Fault> {
    if !cores.is_empty() {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core));
        rustix::thread::sched_setaffinity(pid, &set)?;
    }
    Ok(())
}

/// A child that is told to stop, and then made to, when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Result<Self, Fault> {
        Ok(Self(command.spawn()?))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Fails if it has ended.
    pub fn lives(&mut self) -> Result<(), Fault> {
        match self.0.try_wait()? {
            Some(status) => Err(format!("a server ended ({status}); `--log-to FILE` shows what it said").into()),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM);
        let begun = Instant::now();
        while self.0.try_wait().is_ok_and(|status| status.is_none()) && begun.elapsed() < PATIENCE / 4 {
            wait(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU time that a process has used, microseconds.
pub fn cpu_us(pid: u32) -> u64 {
    stat_us(&format!("/proc/{pid}/stat")).unwrap_or(0)
}

/// The same for a process and its children, those that have ended included: the Postgres server.
pub fn family_cpu_us(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let living: u64 = children.split_whitespace().filter_map(|child| child.parse().ok()).map(cpu_us).sum();
    let ended = fields(&format!("/proc/{pid}/stat")).map_or(0, |fields| ticks(&fields, 13) + ticks(&fields, 14));
    living + cpu_us(pid) + ended * TICK_US
}

/// CPU time by name of thread, microseconds.
pub fn threads_cpu_us(pid: u32) -> BTreeMap<String, u64> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        // Nanoseconds; `stat` would count in ticks, of which most of these threads use none.
        let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let used = schedstat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0) / 1_000;
        *threads.entry(name.trim().to_owned()).or_default() += used;
    }
    threads
}

/// Resident memory, bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn stat_us(path: &str) -> Option<u64> {
    fields(path).map(|fields| (ticks(&fields, 11) + ticks(&fields, 12)) * TICK_US)
}

/// The fields of a `stat` file from the third on: the second, the name in brackets, may hold anything.
fn fields(path: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(ToOwned::to_owned).collect())
}

fn ticks(fields: &[String], index: usize) -> u64 {
    fields.get(index).and_then(|field| field.parse().ok()).unwrap_or(0)
}
