//! The database cluster of a data folder: made whole or not at all, owned by the account that runs Postgres.

use crate::cli::postgres::account::Account;
use crate::cli::postgres::account::is_root;
use crate::cli::postgres::binaries;
use crate::cli::postgres::binaries::Binaries;
use crate::cli::postgres::fault::Fault;
use crate::cli::postgres::folder::Folder;
use crate::cli::postgres::pause;
use crate::cli::postgres::place;
use crate::cli::postgres::socket::USER;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// The database that Keyward uses.
pub(super) const DATABASE: &str = "keyward";
/// A cluster has this name in the data folder until it is complete; the process id follows.
const DRAFT: &str = "postgres.new-";
/// How long an orphaned `initdb` may keep writing into a folder that is being removed.
const REMOVE_LIMIT: Duration = Duration::from_secs(10);

/// A complete cluster, with who runs it and by which programs.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) path: PathBuf,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
}

/// Who owns the cluster of a folder, if it has one. Asked before anything is touched.
pub(super) fn owner(folder: &Folder) -> Result<Option<Account>, Fault> {
    let link = folder.cluster();
    if fs::symlink_metadata(&link).is_err() {
        return Ok(None);
    }
    match fs::metadata(&link) {
        Ok(metadata) => Account::for_cluster(&link, &metadata).map(Some),
        Err(error) => {
            let target = fs::read_link(&link).unwrap_or(link);
            Err(Fault::io("open the database in", &target, error))
        }
    }
}

/// The folder's cluster, made at first use.
pub(super) fn open_or_create(folder: &Folder, programs: &[PathBuf], durable: bool) -> Result<Cluster, Fault> {
    sweep(folder)?;
    match owner(folder)? {
        Some(account) => open(folder, programs, account),
        None => create(folder, programs, durable),
    }
}

fn open(folder: &Folder, programs: &[PathBuf], account: Account) -> Result<Cluster, Fault> {
    let path = fs::canonicalize(folder.cluster()).map_err(|error| Fault::io("open", &folder.cluster(), error))?;
    place::claim(folder, &path)?;
    let version = path.join("PG_VERSION");
    let major = fs::read_to_string(&version).map_err(|error| Fault::io("read", &version, error))?;
    let binaries = binaries::find(programs, Some(major.trim()), &account)?;
    if !account.can_enter(&path) {
        return Err(Fault::new(format!(
            "user {}, who owns the database in {path}, cannot enter that folder: let others pass (`chmod o+x`) \
             through the folders above it, or move the data folder to where they do",
            account.uid(),
            path = path.display()
        )));
    }
    Ok(Cluster { path, account, binaries })
}

fn create(folder: &Folder, programs: &[PathBuf], durable: bool) -> Result<Cluster, Fault> {
    let account = Account::for_new_cluster()?;
    let binaries = binaries::find(programs, None, &account)?;
    let draft = folder.path().join(format!("{DRAFT}{}", std::process::id()));
    let made = fill(folder, &draft, &account, &binaries, durable).and_then(|path| {
        // The one step that makes the cluster exist, be the draft a folder or a link to one.
        fs::rename(&draft, folder.cluster()).map_err(|error| Fault::io("create", &folder.cluster(), error))?;
        let synced = if durable { File::open(folder.path()).and_then(|folder| folder.sync_all()) } else { Ok(()) };
        synced.map_err(|error| Fault::io("write", folder.path(), error))?;
        Ok(if path == draft { folder.cluster() } else { path })
    });
    match made {
        Ok(path) => Ok(Cluster { path, account, binaries }),
        Err(fault) => {
            // The next start sweeps what cannot be swept now.
            let _ = sweep(folder);
            Err(fault)
        }
    }
}

/// Makes everything that belongs to a cluster in `draft`, or in a place that `draft` then links to.
fn fill(
    folder: &Folder,
    draft: &Path,
    account: &Account,
    binaries: &Binaries,
    durable: bool,
) -> Result<PathBuf, Fault> {
    let path = if account.is_stepping_down() && !account.can_enter(folder.path()) {
        place::elsewhere(folder, draft, durable)?
    } else {
        draft.to_owned()
    };
    DirBuilder::new().mode(0o700).create(&path).map_err(|error| Fault::io("create the folder", &path, error))?;
    account.give(&path).map_err(|error| Fault::io("change the owner of", &path, error))?;

    let mut initdb = account.command(&binaries.program("initdb"));
    // The C locale sorts alike on every machine. Local connections are trusted: see `SocketFolder::prepare`.
    initdb.args(["--username", USER, "--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject"]);
    if !durable {
        initdb.arg("--no-sync");
    }
    initdb.arg("-D").arg(&path);
    run(initdb, "", "initdb", folder)?;

    // In single-user mode, while the cluster is still a draft: a complete cluster has its database.
    let mut single = account.command(&binaries.program("postgres"));
    single.args(["--single", "-c", "exit_on_error=true"]);
    if !durable {
        single.arg("-F");
    }
    single.arg("-D").arg(&path).arg("postgres");
    run(single, &format!("CREATE DATABASE {DATABASE}\n"), "postgres --single", folder)?;
    Ok(path)
}

fn run(command: Command, input: &str, name: &str, folder: &Folder) -> Result<(), Fault> {
    let what = || format!("cannot create the database in {}, {name} failed", folder.path().display());
    let output = feed(command, input).map_err(|error| Fault::program(&what(), &error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = if said.trim().is_empty() { format!("it ended with {}", output.status) } else { said.into_owned() };
    Err(Fault::program(&what(), &said))
}

fn feed(mut command: Command, input: &str) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early explains itself on stderr.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// Removes what an interrupted creation has left.
fn sweep(folder: &Folder) -> Result<(), Fault> {
    let entries = fs::read_dir(folder.path()).map_err(|error| Fault::io("read the folder", folder.path(), error))?;
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(DRAFT) {
            continue;
        }
        let draft = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
            if is_root()
                && let Some(place) = place::of_unfinished(folder, &draft)
            {
                remove(&place)?;
            }
            fs::remove_file(&draft).map_err(|error| Fault::io("remove", &draft, error))?;
        } else {
            remove(&draft)?;
        }
    }
    Ok(())
}

/// An `initdb` that outlived a killed Keyward may still be writing; it gives up once its folder is gone.
fn remove(folder: &Path) -> Result<(), Fault> {
    let begun = Instant::now();
    loop {
        match fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => return Ok(()),
            Err(error) if begun.elapsed() > REMOVE_LIMIT => return Err(Fault::io("remove", folder, error)),
            Err(_) => pause(),
        }
    }
}
