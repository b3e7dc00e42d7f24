//! On what it was measured: a figure without its machine says nothing.

use crate::Fault;
use crate::stage::Cores;
use crate::stage::Stage;
use keyward::model::clock::Clock;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

/// Writes that find out what fsync costs here.
const SYNCS: usize = 50;

/// One line a thing.
pub fn describe(stage: &Stage, folder: &Path) -> Result<Vec<String>, Fault> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let postgres = stage.text("SELECT current_setting('server_version') AS text")?;
    let durable = stage.text("SELECT 'fsync ' || current_setting('fsync') AS text")?;
    let date = Clock::system().now().format("%Y-%m-%d");
    let Cores { server, load, database } = &stage.cores;
    let sync = sync_time(folder)?;
    let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load_average = load_average.split(' ').next().unwrap_or("?");
    Ok(vec![
        format!("{date}, commit {}, release build", commit()),
        format!("{model}, {cores} cores, Linux {}, load average before {load_average}", kernel.trim()),
        format!("server on core {}, client on core {}, Postgres on {}", list(server), list(load), list(database)),
        format!(
            "Postgres {postgres}, {durable} (one takes {:.2} ms here, on {}), otherwise its defaults",
            sync.as_secs_f64() * 1e3,
            file_system(folder)
        ),
    ])
}

fn list(cores: &[usize]) -> String {
    let cores: Vec<_> = cores.iter().map(ToString::to_string).collect();
    if cores.is_empty() { "any core".to_owned() } else { cores.join(", ") }
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} with changes") } else { commit }
}

/// Median time of a small write with fsync.
fn sync_time(folder: &Path) -> Result<Duration, Fault> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}

/// The type of the file system: in memory, fsync is for nothing.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(place).then(|| (place.len(), kind.to_owned()))
    });
    holding.max().map_or("an unknown file system".to_owned(), |(_, kind)| kind)
}
