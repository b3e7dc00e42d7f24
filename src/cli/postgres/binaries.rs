//! Finds the Postgres programs of this machine, and says how to install them when there are none.

use crate::cli::postgres::account::Account;
use crate::cli::postgres::fault::Fault;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

/// Where packages put `initdb` and `postgres` without putting them on the PATH: parent, start of the name, rest.
const INSTALLED: [(&str, &str, &str); 8] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr/local", "pgsql", "bin"),
    ("/", "usr", "bin"),
];

/// The folder of one installed Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    folder: PathBuf,
    major: String,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The Postgres to use: of the major version `wanted` when a cluster exists already, else the first one found.
pub(super) fn find(folders: &[PathBuf], wanted: Option<&str>, account: &Account) -> Result<Binaries, Fault> {
    let mut seen = Vec::new();
    let mut refused = None;
    for folder in folders {
        let Some(major) = major_of(folder, account) else {
            refused = refused.or(Some(folder));
            continue;
        };
        if wanted.is_none_or(|wanted| wanted == major) {
            return Ok(Binaries { folder: folder.clone(), major });
        }
        if !seen.contains(&major) {
            seen.push(major);
        }
    }
    Err(match (wanted, refused) {
        (Some(wanted), _) if !seen.is_empty() => Fault::new(format!(
            "the database was made by Postgres {wanted}, and only {} is installed: \
             install Postgres {wanted}, choose another --data-dir, or set DATABASE_URL",
            seen.join(", ")
        )),
        (_, Some(folder)) => Fault::new(format!(
            "the Postgres in {} cannot be run by user {}: install one that everybody can run (`{}`), or set DATABASE_URL",
            folder.display(),
            account.uid(),
            install_command()
        )),
        _ => Fault::new(format!(
            "no Postgres found (`initdb` and `postgres` in one folder): install it (`{}`), \
             or set DATABASE_URL to a Postgres that runs elsewhere",
            install_command()
        )),
    })
}

/// Folders that hold both `initdb` and `postgres`, best first. An `explicit` folder is the only one then.
pub(super) fn folders(explicit: Option<&Path>, path: Option<&OsStr>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let candidates: Vec<PathBuf> = match explicit {
        Some(folder) => vec![folder.to_owned()],
        None => {
            let on_path = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
            on_path
                .into_iter()
                .chain(ask_pg_config())
                .chain(INSTALLED.iter().flat_map(|place| newest_first(*place)))
                .collect()
        }
    };
    for candidate in candidates {
        // A wrapper script named `initdb` on the PATH has no `postgres` beside it, and `initdb` wants it there.
        let complete =
            candidate.is_absolute() && ["initdb", "postgres"].iter().all(|name| candidate.join(name).is_file());
        if complete && !folders.contains(&candidate) {
            folders.push(candidate);
        }
    }
    folders
}

fn ask_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn newest_first((parent, prefix, rest): (&str, &str, &str)) -> Vec<PathBuf> {
    let names =
        fs::read_dir(parent).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<(u32, String)> = names
        .filter(|name| name.starts_with(prefix))
        .map(|name| (name.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0), name))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, name)| Path::new(parent).join(name).join(rest)).collect()
}

/// Asks as the account that will run it, so that a program which that account cannot reach does not count.
fn major_of(folder: &Path, account: &Account) -> Option<String> {
    let output = account.command(&folder.join("postgres")).arg("--version").output().ok()?;
    parse_major(std::str::from_utf8(&output.stdout).ok()?)
}

/// `postgres (PostgreSQL) 15.13 (Debian …)` → `15`, as in `PG_VERSION`.
fn parse_major(version: &str) -> Option<String> {
    let number = version.split("(PostgreSQL)").nth(1)?.split_whitespace().next()?;
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}

fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        return "brew install postgresql";
    }
    install_command_for(&fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn install_command_for(os_release: &str) -> &'static str {
    let value =
        |key: &str| os_release.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().replace('"', "");
    let family = format!("{} {}", value("ID="), value("ID_LIKE="));
    for name in family.split_whitespace() {
        match name {
            "debian" | "ubuntu" => return "apt-get install postgresql",
            "fedora" | "rhel" | "centos" | "amzn" => return "dnf install postgresql-server",
            "alpine" => return "apk add postgresql",
            "arch" => return "pacman -S postgresql",
            "suse" | "opensuse" => return "zypper install postgresql-server",
            _ => {}
        }
    }
    "the package `postgresql` of your system"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn fake(parent: &Path, name: &str, programs: &[(&str, &str)]) -> PathBuf {
        let folder = parent.join(name);
        fs::create_dir(&folder).unwrap();
        for (program, script) in programs {
            let path = folder.join(program);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    fn postgres(major: &str) -> String {
        format!("echo 'postgres (PostgreSQL) {major}.1 (Fake {major}.1-2)'")
    }

    /// A folder that the account of `for_new_cluster` can enter, whoever runs the tests.
    fn shop() -> (tempfile::TempDir, Account) {
        let shop = tempfile::tempdir().unwrap();
        fs::set_permissions(shop.path(), fs::Permissions::from_mode(0o755)).unwrap();
        (shop, Account::for_new_cluster().unwrap())
    }

    #[test]
    fn a_wrapper_without_its_sibling_is_passed_over() {
        let (shop, _) = shop();
        let wrapper = fake(shop.path(), "wrapper", &[("initdb", "exit 1")]);
        let real = fake(shop.path(), "real", &[("initdb", ":"), ("postgres", ":")]);
        let path = std::env::join_paths([&wrapper, &real]).unwrap();
        let found = folders(None, Some(&path));
        assert_eq!(found.first(), Some(&real));
        assert!(!found.contains(&wrapper));
    }

    #[test]
    fn an_explicit_folder_is_the_only_one() {
        let (shop, _) = shop();
        let real = fake(shop.path(), "real", &[("initdb", ":"), ("postgres", ":")]);
        assert_eq!(folders(Some(&real), std::env::var_os("PATH").as_deref()), [real]);
        assert!(folders(Some(&shop.path().join("none")), std::env::var_os("PATH").as_deref()).is_empty());
    }

    #[test]
    fn a_machine_without_a_useful_path_is_searched() {
        let found = folders(None, Some(OsStr::new("")));
        let account = Account::for_new_cluster().unwrap();
        assert!(find(&found, None, &account).is_ok(), "{found:?}");
    }

    #[test]
    fn an_existing_cluster_gets_the_binaries_of_its_version() {
        let (shop, account) = shop();
        let new = fake(shop.path(), "new", &[("initdb", ":"), ("postgres", &postgres("16"))]);
        let old = fake(shop.path(), "old", &[("initdb", ":"), ("postgres", &postgres("13"))]);
        let all = [new, old.clone()];
        assert_eq!(find(&all, None, &account).unwrap().major, "16");
        assert_eq!(find(&all, Some("13"), &account).unwrap().folder, old);
        let fault = find(&all, Some("12"), &account).unwrap_err().to_string();
        assert!(fault.contains("made by Postgres 12") && fault.contains("16, 13"), "{fault}");
    }

    #[test]
    fn without_postgres_the_fault_names_the_package_and_the_alternative() {
        let fault = find(&[], None, &Account::for_new_cluster().unwrap()).unwrap_err().to_string();
        assert!(fault.contains(install_command()) && fault.contains("DATABASE_URL"), "{fault}");
    }

    #[test]
    fn the_package_is_the_one_of_the_system() {
        for (os_release, command) in [
            ("NAME=\"Debian\"\nID=debian\n", "apt-get install postgresql"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get install postgresql"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf install postgresql-server"),
            ("ID=alpine\n", "apk add postgresql"),
            ("ID=arch\n", "pacman -S postgresql"),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "zypper install postgresql-server"),
            ("", "the package `postgresql` of your system"),
        ] {
            assert_eq!(install_command_for(os_release), command, "{os_release}");
        }
    }

    #[test]
    fn versions_are_read_as_in_pg_version() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n").as_deref(), Some("15"));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1").as_deref(), Some("18"));
        assert_eq!(parse_major("something else"), None);
    }
}
