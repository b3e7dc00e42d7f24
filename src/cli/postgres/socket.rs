//! The socket folder: short enough for the kernel whatever the data folder, and closed to every other user.

use crate::cli::postgres::account::Account;
use crate::cli::postgres::fault::Fault;
use crate::cli::postgres::folder::Folder;
use std::fs;
use std::fs::DirBuilder;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// The longest path that fits the kernel's socket address: 108 bytes on Linux, 104 on macOS, one for the end.
const SOCKET_PATH_BYTES: usize = 103;
/// Names the socket; nothing listens on TCP.
const PORT: u16 = 5432;
/// The superuser of a private cluster. Whoever may enter the socket folder is this user.
pub(super) const USER: &str = "keyward";
const STICKY: u32 = 0o1000;

/// Where the server of one data folder listens.
#[derive(Debug)]
pub(super) struct SocketFolder {
    path: PathBuf,
}

impl SocketFolder {
    /// Makes the folder or checks that the existing one is private.
    ///
    /// The cluster trusts every local connection. That is safe as only the account that runs Postgres (and root) can enter
    /// the folder of mode 0700, and whoever has that account can read the data files anyway. It needs no password to
    /// keep, and unlike `peer` it lets root and the account in alike.
    pub(super) fn prepare(data: &Folder, account: &Account) -> Result<Self, Fault> {
        let name = name(data, account)?;
        let bases = [std::env::temp_dir(), PathBuf::from("/tmp")];
        let usable = |base: &&PathBuf| fits(&base.join(&name)) && is_safe(base) && account.can_enter(base);
        let Some(base) = bases.iter().find(usable) else {
            return Err(Fault::new(format!(
                "user {} can use neither {} nor /tmp for the database's socket: set TMPDIR to a short path",
                account.uid(),
                std::env::temp_dir().display()
            )));
        };
        let folder = Self { path: base.join(name) };
        folder.make(account)?;
        // A socket of a server that died bars the way when its number went to another process. Ours is known to be gone.
        for leftover in [folder.socket(), folder.path.join(format!(".s.PGSQL.{PORT}.lock"))] {
            let _ = fs::remove_file(leftover);
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// libpq takes the folder as host, percent-encoded. The port is named so that no `PGPORT` changes it.
    pub(super) fn url(&self, database: &str) -> String {
        let mut host = String::new();
        for byte in self.path.as_os_str().as_encoded_bytes() {
            match char::from(*byte) {
                plain if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => host.push(plain),
                _ => host.push_str(&format!("%{byte:02X}")),
            }
        }
        format!("postgresql://{USER}@/{database}?host={host}&port={PORT}")
    }

    /// Best effort: an empty folder left in the temporary folder is no harm.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }

    fn socket(&self) -> PathBuf {
        self.path.join(format!(".s.PGSQL.{PORT}"))
    }

    fn make(&self, account: &Account) -> Result<(), Fault> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Fault::io("create the folder", &self.path, error));
            }
            _ => {}
        }
        // Not following a link: one that somebody else has put here is no folder of ours.
        let metadata = fs::symlink_metadata(&self.path).map_err(|error| Fault::io("read", &self.path, error))?;
        let is_ours = metadata.uid() == account.uid() || account.is_stepping_down() && metadata.uid() == 0;
        if !metadata.is_dir() || !is_ours || metadata.mode() & 0o077 != 0 {
            return Err(Fault::new(format!(
                "{} is not a private folder of user {}, so the database's socket would not be safe there: remove it",
                self.path.display(),
                account.uid()
            )));
        }
        account.give(&self.path).map_err(|error| Fault::io("change the owner of", &self.path, error))
    }
}

/// One name for one data folder: its path, and its file number in case the folder was replaced while a server ran on it.
fn name(data: &Folder, account: &Account) -> Result<String, Fault> {
    let metadata = fs::metadata(data.path()).map_err(|error| Fault::io("read", data.path(), error))?;
    let mut hasher = DefaultHasher::new();
    (data.path(), metadata.dev(), metadata.ino(), account.uid()).hash(&mut hasher);
    Ok(format!("keyward-{:016x}", hasher.finish()))
}

fn fits(folder: &Path) -> bool {
    folder.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() <= SOCKET_PATH_BYTES
}

/// In a folder that everybody can write without the sticky bit, everybody can also replace ours.
fn is_safe(base: &Path) -> bool {
    fs::metadata(base).is_ok_and(|base| base.mode() & 0o002 == 0 || base.mode() & STICKY != 0)
}
