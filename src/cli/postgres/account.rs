//! Who runs Postgres: this user, or an unprivileged account when Keyward runs as root, as Postgres refuses root.

use crate::cli::postgres::fault::Fault;
use rustix::fs::Gid;
use rustix::fs::Uid;
use std::env;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

/// The accounts that root steps down to, in this order. `initdb` refuses a user id without an account.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The user that Postgres runs as and that owns the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
    /// Keyward is root and has to step down.
    switch: bool,
}

impl Account {
    /// The account that shall own a cluster yet to be made.
    pub(super) fn for_new_cluster() -> Result<Self, Fault> {
        if !is_root() {
            return Ok(Self::this_user());
        }
        let known = UNPRIVILEGED.iter().find_map(|name| Some((ask_id("-u", name)?, ask_id("-g", name)?)));
        match known {
            Some((uid, gid)) if uid != 0 => Ok(Self { uid, gid, switch: true }),
            _ => Err(Fault::new(
                "Postgres does not run as root and there is no account to run it as: create one \
                 (`useradd --system postgres`), run Keyward as an ordinary user, or set DATABASE_URL",
            )),
        }
    }

    /// The account that owns an existing cluster: Postgres runs as no other.
    pub(super) fn for_cluster(folder: &Path, metadata: &Metadata) -> Result<Self, Fault> {
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let path = folder.display();
        if is_root() && uid == 0 {
            return Err(Fault::new(format!(
                "the database in {path} belongs to root, as whom Postgres does not run: `chown -R postgres {path}`"
            )));
        }
        if is_root() {
            return Ok(Self { uid, gid, switch: true });
        }
        if uid == effective_uid() {
            return Ok(Self::this_user());
        }
        Err(Fault::new(format!(
            "the database in {path} belongs to user {uid}, and this is user {}: \
             run as that user or as root, or choose another --data-dir",
            effective_uid()
        )))
    }

    fn this_user() -> Self {
        Self { uid: effective_uid(), gid: rustix::process::getegid().as_raw(), switch: false }
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// True when Keyward is root, and Postgres therefore another.
    pub(super) fn is_stepping_down(&self) -> bool {
        self.switch
    }

    /// A command run as this account, untouched by the locale and the `PG…` variables of whoever started Keyward.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // Keyward's own working folder may be one that the account cannot enter.
        command.current_dir("/").stdin(Stdio::null()).env_clear();
        command.env("LC_ALL", "C").env("TZ", "UTC");
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.switch {
            // std drops the supplementary groups of root too.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether the account can enter a folder: tried, not computed, as modes are not all that decides.
    pub(super) fn can_enter(&self, folder: &Path) -> bool {
        let mut command = self.command(Path::new("/bin/sh"));
        let status = command.args(["-c", ":"]).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Makes a folder that Keyward made the account's own.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        if self.switch {
            rustix::fs::chown(path, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        }
        Ok(())
    }
}

/// Whether Keyward runs as root.
pub(super) fn is_root() -> bool {
    effective_uid() == 0
}

pub(super) fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Asks `id` rather than `/etc/passwd`, which is not where every system keeps its accounts.
fn ask_id(flag: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, name]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
