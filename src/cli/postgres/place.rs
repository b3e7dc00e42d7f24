//! Where root puts a cluster whose account cannot enter the data folder, for instance one below `/root`.

use crate::cli::postgres::fault::Fault;
use crate::cli::postgres::folder::Folder;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// For data that matters, and for data that does not. Everybody may pass through these.
const LASTING: &str = "/var/lib/keyward";
const PASSING: &str = "/tmp";
/// Beside such a cluster: the data folder that links to it.
const BELONGS_TO: &str = "belongs-to";

/// Prepares a place, links `draft` to it, and returns the path of the cluster to be made there.
///
/// The name is a new one each time, so that a data folder which was deleted and made again does not find its old keys.
pub(super) fn elsewhere(folder: &Folder, draft: &Path, durable: bool) -> Result<PathBuf, Fault> {
    let base = Path::new(if durable { LASTING } else { PASSING });
    make(base, true).map_err(|fault| {
        Fault::new(format!(
            "the account that runs Postgres cannot enter {}, and there is no other place ({fault}): \
             choose a --data-dir that everybody may pass through to",
            folder.path().display()
        ))
    })?;
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let place = base.join(format!("keyward-data-{}-{nanos}", std::process::id()));
    make(&place, false)?;
    let note = place.join(BELONGS_TO);
    fs::write(&note, folder.path().as_os_str().as_encoded_bytes()).map_err(|error| Fault::io("write", &note, error))?;
    let cluster = place.join("postgres");
    symlink(&cluster, draft).map_err(|error| Fault::io("create", draft, error))?;
    Ok(cluster)
}

/// Makes sure that a cluster which stands in such a place is this folder's alone. A copied data folder has the link too, and
/// its start would take the other's running server for an orphan.
pub(super) fn claim(folder: &Folder, cluster: &Path) -> Result<(), Fault> {
    let Some(note) = cluster.parent().map(|place| place.join(BELONGS_TO)) else { return Ok(()) };
    let is_link = fs::symlink_metadata(folder.cluster()).is_ok_and(|link| link.is_symlink());
    let Some(owner) = fs::read(&note).ok().filter(|_| is_link) else { return Ok(()) };
    let owner = PathBuf::from(OsString::from_vec(owner));
    if owner == folder.path() {
        return Ok(());
    }
    if fs::canonicalize(owner.join("postgres")).is_ok_and(|theirs| theirs == cluster) {
        return Err(Fault::new(format!(
            "{} is a copy of {}, which the database in {} belongs to: use that one, or choose another --data-dir",
            folder.path().display(),
            owner.display(),
            cluster.display()
        )));
    }
    // The folder was moved.
    fs::write(&note, folder.path().as_os_str().as_encoded_bytes()).map_err(|error| Fault::io("write", &note, error))
}

/// A folder that everybody may pass through, whatever root's umask. `/tmp` and the like stay as they are.
fn make(path: &Path, may_exist: bool) -> Result<(), Fault> {
    if may_exist && path.is_dir() {
        return Ok(());
    }
    let made = fs::create_dir(path).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)));
    made.map_err(|error| Fault::io("create the folder", path, error))
}

/// The place that an unfinished link of this folder leads to. It must say itself that it belongs to the folder: root does
/// not remove what somebody else's link points at.
pub(super) fn of_unfinished(folder: &Folder, draft: &Path) -> Option<PathBuf> {
    let place = fs::read_link(draft).ok()?.parent()?.to_owned();
    let is_a_place = place.parent().is_some_and(|base| base == Path::new(LASTING) || base == Path::new(PASSING));
    let owner = fs::read(place.join(BELONGS_TO)).ok()?;
    (is_a_place && owner == folder.path().as_os_str().as_encoded_bytes()).then_some(place)
}
