//! The data folder of an instance: its marker, its log, and the note that tells other commands where it runs.

use crate::cli::postgres::account::is_root;
use crate::cli::postgres::fault::Fault;
use rustix::fs::Gid;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::Uid;
use serde::Deserialize;
use serde::Serialize;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

/// A folder holding this file is Keyward's; another folder is touched only when it is empty.
const MARKER: &str = "KEYWARD";
const MARKER_TEXT: &str = "The data of one `keyward dev` instance. Deleting the folder deletes its keys.\n";
/// What a fresh disk or a file browser leaves in a folder that is empty to its user.
const AS_GOOD_AS_EMPTY: [&str; 2] = ["lost+found", ".DS_Store"];
const NOTE: &str = "instance.json";
const LOG: &str = "postgres.log";
/// A log that has grown past this is set aside at the next start (one older log is kept).
const LOG_BYTES: u64 = 10 * 1024 * 1024;
/// How much of the log's end is read to explain a failed start.
const LOG_TAIL_BYTES: u64 = 4096;

/// What a running instance tells other commands.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    /// The process that owns the server.
    pub(super) pid: u32,
    pub(super) url: String,
    pub(super) admin_url: String,
}

/// A folder that is known to be Keyward's.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A folder that some earlier start has made.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        if !has_marker(path)? {
            let path = path.display();
            return Err(Fault::new(format!(
                "{path} holds no Keyward instance: run `keyward dev --data-dir {path}` first"
            )));
        }
        Ok(Self { path: fs::canonicalize(path).map_err(|error| Fault::io("open", path, error))? })
    }

    /// The same, made when it does not exist. A folder with something else in it is left alone.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, Fault> {
        if has_marker(path)? {
            return Self::open(path);
        }
        if path.is_file() {
            return Err(Fault::new(format!("{} is a file: choose a folder as --data-dir", path.display())));
        }
        create_private(path).map_err(|error| Fault::io("create the folder", path, error))?;
        let entries = fs::read_dir(path).map_err(|error| Fault::io("read the folder", path, error))?;
        if entries.flatten().any(|entry| !AS_GOOD_AS_EMPTY.iter().any(|name| entry.file_name() == *name)) {
            return Err(Fault::new(format!(
                "{} is not empty and holds no Keyward instance: choose another --data-dir",
                path.display()
            )));
        }
        let path = fs::canonicalize(path).map_err(|error| Fault::io("open", path, error))?;
        let folder = Self { path };
        folder.let_others_pass()?;
        // So that a project's `.keyward` never ends in its repository.
        folder.write(".gitignore", "*\n")?;
        folder.write(MARKER, MARKER_TEXT)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the cluster is, or a link to it.
    pub(super) fn cluster(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Opens a file of this folder for reading and writing, and never follows a link out of it: root may be writing into
    /// somebody's folder. What root makes belongs to the folder's owner, who may be the next to start.
    pub(super) fn file(&self, name: &str, flags: OFlags) -> Result<File, Fault> {
        let path = self.path.join(name);
        let flags = flags | OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map(File::from);
        let file = file.map_err(|error| Fault::io("write", &path, error.into()))?;
        if is_root() {
            let owner = fs::metadata(&self.path).map_err(|error| Fault::io("read", &self.path, error))?;
            rustix::fs::fchown(&file, Some(Uid::from_raw(owner.uid())), Some(Gid::from_raw(owner.gid())))
                .map_err(|error| Fault::io("change the owner of", &path, error.into()))?;
        }
        Ok(file)
    }

    /// The log that Postgres will write, and its length so far.
    pub(super) fn log(&self) -> Result<(File, u64), Fault> {
        let path = self.log_path();
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        if length(&path) > LOG_BYTES {
            fs::rename(&path, path.with_extension("log.1")).map_err(|error| Fault::io("set aside", &path, error))?;
        }
        let file = self.file(LOG, OFlags::APPEND)?;
        let length = length(&path);
        Ok((file, length))
    }

    /// The end of what was logged after `from`.
    pub(super) fn log_since(&self, from: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.log_path())?;
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(from.max(end.saturating_sub(LOG_TAIL_BYTES))))?;
            let mut bytes = Vec::new();
            file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Publishes the note at once as a whole.
    pub(super) fn publish(&self, note: &Note) -> Result<(), Fault> {
        let path = self.path.join(NOTE);
        let text = serde_json::to_string(note).map_err(|error| Fault::io("write", &path, error.into()))?;
        let draft = "instance.json.new";
        self.write(draft, &text)?;
        fs::rename(self.path.join(draft), &path).map_err(|error| Fault::io("write", &path, error))
    }

    pub(super) fn note(&self) -> Option<Note> {
        serde_json::from_slice(&fs::read(self.path.join(NOTE)).ok()?).ok()
    }

    /// A note that cannot be withdrawn is no harm: readers compare its pid with the holder of the lock.
    pub(super) fn withdraw_note(&self) {
        let _ = fs::remove_file(self.path.join(NOTE));
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Fault> {
        let mut file = self.file(name, OFlags::TRUNC)?;
        file.write_all(text.as_bytes()).map_err(|error| Fault::io("write", &self.path.join(name), error))
    }

    /// Under root the cluster in this folder belongs to another account, which must get through to it, and see nothing.
    fn let_others_pass(&self) -> Result<(), Fault> {
        let metadata = fs::metadata(&self.path).map_err(|error| Fault::io("read", &self.path, error))?;
        if is_root() && metadata.uid() == 0 {
            let mode = metadata.permissions().mode() | 0o111;
            let set = fs::set_permissions(&self.path, fs::Permissions::from_mode(mode));
            set.map_err(|error| Fault::io("change the mode of", &self.path, error))?;
        }
        Ok(())
    }
}

fn has_marker(path: &Path) -> Result<bool, Fault> {
    match path.join(MARKER).try_exists() {
        // Below a file nothing exists either.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        answer => answer.map_err(|error| Fault::io("open", path, error)),
    }
}

/// The missing parents with the usual mode, the folder itself for its owner alone.
fn create_private(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}
