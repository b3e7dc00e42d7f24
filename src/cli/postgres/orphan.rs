//! A server that outlived its Keyward: found by its pid file, known to be ours before it gets a signal, stopped.

use crate::cli::postgres::fault::Fault;
use crate::cli::postgres::pause;
use rustix::process::Pid;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

/// How long each of the signals may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Sees to it that no server runs on the cluster. The caller holds the lock of the folder.
pub(super) fn stop(cluster: &Path) -> Result<(), Fault> {
    let pid_file = cluster.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&pid_file) else {
        return Ok(());
    };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
            let begun = Instant::now();
            if is_ours(pid, cluster) {
                // It may have ended in between, which is what is wanted.
                let _ = rustix::process::kill_process(pid, signal);
            }
            while is_ours(pid, cluster) && begun.elapsed() < LIMIT {
                pause();
            }
        }
        if is_ours(pid, cluster) {
            return Err(Fault::new(format!(
                "Postgres, process {}, from an earlier run still uses {} and cannot be stopped: stop it first",
                pid.as_raw_nonzero(),
                cluster.display()
            )));
        }
    }
    // Postgres would believe a stale file when its number belongs to another process by now. A backend that is still
    // attached to the cluster's shared memory is found by Postgres without the file.
    match fs::remove_file(&pid_file) {
        Err(error) if pid_file.exists() => Err(Fault::io("remove", &pid_file, error)),
        _ => Ok(()),
    }
}

/// Whether a process is a Postgres server of this cluster: a server works in its data folder, under Linux plain to see.
fn is_ours(pid: Pid, cluster: &Path) -> bool {
    let pid = pid.as_raw_nonzero().to_string();
    let process = Path::new("/proc").join(&pid);
    if Path::new("/proc/self/cwd").exists() {
        let in_cluster = fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == cluster);
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        return in_cluster && ["postgres", "postmaster"].contains(&name.trim());
    }
    let output = std::process::Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid]).output();
    let line = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    line.contains("postgres") && format!("{} ", line.trim()).contains(&format!("-D {} ", cluster.display()))
}
