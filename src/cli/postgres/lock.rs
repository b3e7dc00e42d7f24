//! One Keyward a folder: an advisory lock that the kernel releases when its holder dies, however it dies.

use crate::cli::postgres::fault::Fault;
use crate::cli::postgres::folder::Folder;
use crate::cli::postgres::pause;
use rustix::fs::FlockOperation;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

/// How long to wait for another short command to finish with the folder.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the holder of a lock is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An instance that serves until it is stopped.
    Instance,
    /// A command that needs the database for a moment.
    Command,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Command => "command",
        }
    }
}

/// The lock, held while this value lives. Children do not inherit it: std and we open files close-on-exec.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// An instance that holds the lock; `None` when it has not yet written who it is.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) pid: Option<u32>,
}

impl Lock {
    /// Takes the lock or names the instance that has it. A short command that has it is waited for.
    pub(super) fn take(folder: &Folder, purpose: Purpose) -> Result<Result<Self, Holder>, Fault> {
        let mut file = folder.file("lock", OFlags::empty())?;
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(Fault::io("lock", &folder.path().join("lock"), error.into())),
            }
            let (pid, held_for) = read(&mut file);
            if held_for != Purpose::Command.word() && !held_for.is_empty() || begun.elapsed() > PATIENCE {
                return Ok(Err(Holder { pid }));
            }
            pause();
        }
        let mut lock = Self { file };
        lock.sign(&format!("{} {}\n", std::process::id(), purpose.word()))
            .map_err(|error| Fault::io("write", &folder.path().join("lock"), error))?;
        Ok(Ok(lock))
    }

    fn sign(&mut self, text: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that the next holder is not taken for this one before it has signed.
        let _ = self.file.set_len(0);
    }
}

impl Holder {
    /// The one clear line for the second instance.
    pub(super) fn fault(&self, folder: &Folder) -> Fault {
        let path = folder.path().display();
        let pid = self.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        Fault::new(format!("{path} is in use by Keyward, {pid}: stop it first, or choose another --data-dir"))
    }
}

fn read(file: &mut File) -> (Option<u32>, String) {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    let mut words = text.split_whitespace();
    (words.next().and_then(|pid| pid.parse().ok()), words.next().unwrap_or_default().to_owned())
}
