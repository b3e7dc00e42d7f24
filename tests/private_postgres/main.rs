//! The promises of the private Postgres: they hold for root and for an ordinary user.

#[cfg(test)]
mod support;

use crate::support::Keyward;
use crate::support::ask;
use crate::support::data_dir;
use crate::support::drafts;
use crate::support::is_in_use;
use crate::support::is_running;
use crate::support::mount;
use crate::support::pid;
use crate::support::refused;
use crate::support::remove_if_elsewhere;
use crate::support::run;
use crate::support::show;
use crate::support::socket_folder;
use crate::support::unmount;
use crate::support::wait;
use diesel::Connection;
use diesel::PgConnection;
use diesel::RunQueryDsl;
use keyward::cli::postgres::PrivatePostgres;
use keyward::cli::postgres::Settings;
use keyward::cli::postgres::reach;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// `nobody`, an ordinary user as far as files go.
const ORDINARY: u32 = 65534;
const THROW_AWAY: Settings = Settings { durable: false, dies_with_parent: true, max_connections: 20 };
const KEPT: Settings = Settings { durable: true, dies_with_parent: false, max_connections: 20 };

#[test]
fn the_first_start_makes_a_durable_database_that_only_a_private_socket_leads_to() {
    let dir = data_dir();
    let postgres = PrivatePostgres::start(dir.path(), &KEPT).unwrap();
    assert_eq!(ask(postgres.url(), "SELECT current_database()::text AS answer"), "keyward");
    assert_eq!(ask(postgres.admin_url(), "SELECT current_database()::text AS answer"), "postgres");
    for (setting, value) in [
        ("server_encoding", "UTF8"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("max_connections", "20"),
    ] {
        assert_eq!(show(&postgres, setting), value, "{setting}");
    }
    let collation = "SELECT datcollate::text AS answer FROM pg_database WHERE datname = 'keyward'";
    assert_eq!(ask(postgres.url(), collation), "C");
    assert_eq!(socket_folder(&postgres).metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(dir.path().join("postgres")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(dir.path().join("postgres.log")).unwrap().mode() & 0o777, 0o600);
    let socket = socket_folder(&postgres);
    postgres.stop().unwrap();
    assert!(!socket.exists() && !dir.path().join("instance.json").exists());
}

#[test]
fn a_throw_away_server_does_not_wait_for_the_disk() {
    let dir = data_dir();
    let postgres = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(show(&postgres, setting), "off", "{setting}");
    }
}

#[test]
fn a_later_start_finds_the_data_again_in_under_a_second() {
    let dir = data_dir();
    let begun = Instant::now();
    let first = PrivatePostgres::start(dir.path(), &KEPT).unwrap();
    let created = begun.elapsed();
    run(first.url(), "CREATE TABLE kept (answer text)");
    run(first.url(), "INSERT INTO kept VALUES ('yes')");
    let begun = Instant::now();
    first.stop().unwrap();
    let stopped = begun.elapsed();
    let begun = Instant::now();
    let again = PrivatePostgres::start(dir.path(), &KEPT).unwrap();
    let started = begun.elapsed();
    eprintln!("first start {created:?}, stop {stopped:?}, later start {started:?}");
    assert_eq!(ask(again.url(), "SELECT answer FROM kept"), "yes");
    assert!(started < Duration::from_secs(1), "{started:?}");
}

#[test]
fn a_second_instance_on_a_folder_is_refused() {
    let dir = data_dir();
    let mut first = Keyward::start("keep", dir.path());
    let fault = refused(PrivatePostgres::start(dir.path(), &THROW_AWAY));
    assert!(fault.contains(&format!("process {}", first.process.id())), "{fault}");
    assert_eq!(ask(&first.url, "SELECT 'alive' AS answer"), "alive");
    first.kill_9();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
}

#[test]
fn a_command_reaches_the_running_instance() {
    let dir = data_dir();
    let running = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    let reached = reach(dir.path()).unwrap();
    assert!(!reached.is_own());
    assert_eq!((reached.url(), reached.admin_url()), (running.url(), running.admin_url()));
    reached.release().unwrap();
    assert_eq!(ask(running.url(), "SELECT 'alive' AS answer"), "alive");
}

#[test]
fn a_command_reaches_an_instance_that_does_not_run() {
    let dir = data_dir();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    let reached = reach(dir.path()).unwrap();
    assert!(reached.is_own());
    assert_eq!(ask(reached.url(), "SELECT 'alive' AS answer"), "alive");
    reached.release().unwrap();
    assert!(!dir.path().join("postgres/postmaster.pid").exists());
}

#[test]
fn commands_and_an_instance_take_turns_on_a_folder() {
    let dir = data_dir();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let reached = reach(dir.path()).unwrap();
                assert_eq!(ask(reached.url(), "SELECT 'alive' AS answer"), "alive");
                reached.release().unwrap();
            });
        }
    });
    let reached = reach(dir.path()).unwrap();
    std::thread::scope(|scope| {
        let instance = scope.spawn(|| PrivatePostgres::start(dir.path(), &THROW_AWAY).map(drop));
        wait(Duration::from_millis(50));
        reached.release().unwrap();
        instance.join().unwrap().unwrap();
    });
}

#[test]
fn a_folder_without_an_instance_is_not_reached_and_not_touched() {
    let dir = data_dir();
    for folder in [dir.path().to_owned(), dir.path().join("none")] {
        let fault = reach(&folder).map(drop).unwrap_err().to_string();
        assert!(fault.contains("holds no Keyward instance: run `keyward dev --data-dir"), "{fault}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn after_kill_9_the_next_start_stops_the_orphan_and_has_the_data() {
    let dir = data_dir();
    let mut killed = Keyward::start("keep", dir.path());
    run(&killed.url, "CREATE TABLE kept (answer text)");
    run(&killed.url, "INSERT INTO kept VALUES ('yes')");
    killed.kill_9();
    assert!(is_running(killed.server));
    let next = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    assert!(!is_running(killed.server));
    assert_eq!(ask(next.url(), "SELECT answer FROM kept"), "yes");
}

#[test]
fn after_kill_9_of_keyward_and_postgres_the_next_start_recovers() {
    let dir = data_dir();
    let mut killed = Keyward::start("keep", dir.path());
    run(&killed.url, "CREATE TABLE kept (answer text)");
    run(&killed.url, "INSERT INTO kept VALUES ('yes')");
    killed.kill_9();
    rustix::process::kill_process(pid(killed.server), rustix::process::Signal::KILL).unwrap();
    let next = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    assert_eq!(ask(next.url(), "SELECT answer FROM kept"), "yes");
}

#[test]
fn a_process_that_got_the_number_of_an_old_server_is_left_alone() {
    let dir = data_dir();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    let pid_file = dir.path().join("postgres/postmaster.pid");
    let cluster = fs::metadata(dir.path().join("postgres")).unwrap();
    // Of the same user, so that Postgres on its own would take it for a server that still runs.
    let mut stranger = Command::new("sleep");
    if cluster.uid() != rustix::process::geteuid().as_raw() {
        stranger.uid(cluster.uid()).gid(cluster.gid());
    }
    let mut stranger = stranger.arg("600").spawn().unwrap();
    let text = format!("{}\n{}\n0\n5432\n/tmp\n\n0 0\nready\n", stranger.id(), dir.path().join("postgres").display());
    fs::write(&pid_file, text).unwrap();
    rustix::fs::chown(
        &pid_file,
        Some(rustix::fs::Uid::from_raw(cluster.uid())),
        Some(rustix::fs::Gid::from_raw(cluster.gid())),
    )
    .unwrap();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_throw_away_server_dies_with_its_process() {
    let dir = data_dir();
    let mut killed = Keyward::start("throw", dir.path());
    assert!(is_running(killed.server));
    killed.kill_9();
    let begun = Instant::now();
    while is_running(killed.server) || is_in_use(dir.path()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it still runs");
        wait(Duration::from_millis(10));
    }
}

#[test]
fn throw_away_servers_run_side_by_side() {
    let dirs = [data_dir(), data_dir(), data_dir()];
    let servers: Vec<_> = dirs.iter().map(|dir| PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap()).collect();
    for server in &servers {
        run(server.url(), "CREATE TABLE mine (answer text)");
    }
    for server in servers {
        server.stop().unwrap();
    }
}

#[test]
fn the_database_goes_away_and_comes_back_at_the_same_url() {
    let dir = data_dir();
    let postgres = PrivatePostgres::start(dir.path(), &KEPT).unwrap();
    run(postgres.url(), "CREATE TABLE kept (answer text)");
    run(postgres.url(), "INSERT INTO kept VALUES ('yes')");
    for take_away in [PrivatePostgres::interrupt, PrivatePostgres::kill] {
        let mut open = PgConnection::establish(postgres.url()).unwrap();
        take_away(&postgres).unwrap();
        assert!(diesel::sql_query("SELECT 1").execute(&mut open).is_err());
        assert!(PgConnection::establish(postgres.url()).is_err());
        postgres.start_again().unwrap();
        assert_eq!(ask(postgres.url(), "SELECT answer FROM kept"), "yes");
    }
}

#[test]
fn ctrl_c_in_the_terminal_does_not_reach_postgres() {
    let dir = data_dir();
    let postgres = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    let server = pid(postgres.pid());
    assert_eq!(rustix::process::getpgid(Some(server)).unwrap(), server);
}

#[test]
fn a_data_folder_with_a_long_path_has_a_short_socket() {
    let dir = data_dir();
    let long = dir.path().join("x".repeat(120)).join("y y".repeat(40));
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(dir.path());
    fs::create_dir(long.parent().unwrap()).unwrap();
    open(long.parent().unwrap());
    let postgres = PrivatePostgres::start(&long, &THROW_AWAY).unwrap();
    assert_eq!(ask(postgres.url(), "SELECT 'alive' AS answer"), "alive");
    assert!(postgres.cluster_dir().starts_with(long.canonicalize().unwrap()));
}

#[test]
fn a_socket_folder_that_is_open_to_others_is_refused() {
    let dir = data_dir();
    let postgres = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    let socket = socket_folder(&postgres);
    postgres.stop().unwrap();
    fs::create_dir(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    let open = refused(PrivatePostgres::start(dir.path(), &THROW_AWAY));
    fs::remove_dir(&socket).unwrap();
    std::os::unix::fs::symlink(dir.path().join("postgres"), &socket).unwrap();
    let link = refused(PrivatePostgres::start(dir.path(), &THROW_AWAY));
    fs::remove_file(&socket).unwrap();
    for fault in [open, link] {
        assert!(fault.contains("is not a private folder"), "{fault}");
    }
}

#[test]
fn a_cluster_that_was_left_half_made_is_made_again() {
    let dir = data_dir();
    let closed = data_dir();
    // Under root the second one is made elsewhere.
    for dir in [dir.path(), &closed.path().join("below")] {
        let mut killed = Keyward::spawn("throw", dir);
        let begun = Instant::now();
        while !drafts(dir).iter().any(|draft| draft.join("base").exists()) {
            assert!(begun.elapsed() < Duration::from_secs(20) && killed.try_wait().unwrap().is_none());
            wait(Duration::from_millis(2));
        }
        let half_made = fs::canonicalize(&drafts(dir)[0]).unwrap();
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(!dir.join("postgres").exists());
        // At once: the orphaned `initdb` is still at work.
        let postgres = PrivatePostgres::start(dir, &THROW_AWAY).unwrap();
        assert_eq!(ask(postgres.url(), "SELECT 'alive' AS answer"), "alive");
        assert!(drafts(dir).is_empty() && !half_made.exists());
        remove_if_elsewhere(postgres, dir);
    }
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    let dir = data_dir();
    fs::write(dir.path().join("thesis.tex"), "hello").unwrap();
    let fault = refused(PrivatePostgres::start(dir.path(), &THROW_AWAY));
    assert!(fault.contains("is not empty and holds no Keyward instance"), "{fault}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_file_is_no_data_folder() {
    let dir = data_dir();
    let file = dir.path().join("file");
    fs::write(&file, "hello").unwrap();
    let fault = refused(PrivatePostgres::start(&file, &THROW_AWAY));
    assert!(fault.contains("is a file"), "{fault}");
    let fault = refused(PrivatePostgres::start(&file.join("below"), &THROW_AWAY));
    assert!(fault.contains("cannot create the folder"), "{fault}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "hello");
}

#[test]
fn a_cluster_of_a_version_that_is_not_installed_is_left_alone() {
    let dir = data_dir();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    let version = dir.path().join("postgres/PG_VERSION");
    let real = fs::read_to_string(&version).unwrap();
    fs::write(&version, "7\n").unwrap();
    let fault = refused(PrivatePostgres::start(dir.path(), &THROW_AWAY));
    assert!(fault.contains("made by Postgres 7") && fault.contains(real.trim()), "{fault}");
    fs::write(&version, real).unwrap();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let dir = data_dir();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    let control = dir.path().join("postgres/global/pg_control");
    let real = fs::read(&control).unwrap();
    fs::write(&control, "rubbish").unwrap();
    let fault = PrivatePostgres::start(dir.path(), &THROW_AWAY).map(drop).unwrap_err();
    assert!(fault.to_string().contains("pg_control") && fault.detail().is_some(), "{fault}");
    fs::write(&control, real).unwrap();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
}

#[test]
fn a_log_past_its_bound_is_set_aside() {
    let dir = data_dir();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    let log = dir.path().join("postgres.log");
    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(10 * 1024 * 1024 + 1).unwrap();
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    assert!(fs::metadata(&log).unwrap().len() < 1024 * 1024);
    assert!(dir.path().join("postgres.log.1").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let dir = data_dir();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if rustix::process::geteuid().is_root() && !mount(dir.path(), "ro") {
        return;
    }
    let fault = refused(PrivatePostgres::start(dir.path(), &THROW_AWAY));
    assert!(fault.starts_with("cannot ") && fault.contains("choose a"), "{fault}");
    unmount(dir.path());
}

#[test]
fn a_full_disk_is_one_clear_line_and_the_next_start_begins_anew() {
    let dir = data_dir();
    if !mount(dir.path(), "size=20m") {
        return;
    }
    let fault = refused(PrivatePostgres::start(dir.path(), &THROW_AWAY));
    assert!(fault.contains("; free some space or choose another --data-dir"), "{fault}");
    assert!(drafts(dir.path()).is_empty());
    assert!(mount(dir.path(), "remount,size=200m"));
    PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap().stop().unwrap();
    unmount(dir.path());
}

#[test]
fn root_keeps_a_cluster_where_its_account_can_get() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let closed = data_dir();
    let dir = closed.path().join("project/.keyward");
    let postgres = PrivatePostgres::start(&dir, &THROW_AWAY).unwrap();
    run(postgres.url(), "CREATE TABLE kept AS SELECT 'yes' AS answer");
    let cluster = postgres.cluster_dir();
    assert_eq!(fs::read_link(dir.join("postgres")).unwrap(), cluster);
    assert_ne!(fs::metadata(&cluster).unwrap().uid(), 0);
    postgres.stop().unwrap();
    let moved = closed.path().join("moved");
    fs::rename(&dir, &moved).unwrap();
    let again = PrivatePostgres::start(&moved, &THROW_AWAY).unwrap();
    assert_eq!(ask(again.url(), "SELECT answer FROM kept"), "yes");
    assert!(Command::new("cp").arg("-a").args([&moved, &dir]).status().unwrap().success());
    let fault = refused(PrivatePostgres::start(&dir, &THROW_AWAY));
    assert!(fault.contains("is a copy of"), "{fault}");
    assert_eq!(ask(again.url(), "SELECT answer FROM kept"), "yes");
    again.stop().unwrap();
    fs::remove_dir_all(cluster.parent().unwrap()).unwrap();
    let fault = refused(PrivatePostgres::start(&dir, &THROW_AWAY));
    assert!(fault.contains("cannot open the database in"), "{fault}");
}

#[test]
fn root_and_the_owner_of_a_cluster_take_turns() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = data_dir();
    std::os::unix::fs::chown(dir.path(), Some(ORDINARY), Some(ORDINARY)).unwrap();
    let as_owner = || {
        let mut command = Keyward::command("once", dir.path());
        let output = command.uid(ORDINARY).gid(ORDINARY).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // Where the test program itself is out of an ordinary user's reach there is nothing to show.
    let Some(said) = as_owner() else { return };
    assert!(said.contains("READY"), "{said}");
    let postgres = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    assert_eq!(fs::metadata(postgres.cluster_dir()).unwrap().uid(), ORDINARY);
    postgres.stop().unwrap();
    let said = as_owner().unwrap();
    assert!(said.contains("READY"), "{said}");
}

#[test]
fn somebody_elses_cluster_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = data_dir();
    let postgres = PrivatePostgres::start(dir.path(), &THROW_AWAY).unwrap();
    let mut command = Keyward::command("keep", dir.path());
    let output = command.uid(ORDINARY).gid(ORDINARY).stdout(Stdio::piped()).output();
    // Where the test program itself is out of an ordinary user's reach there is nothing to show.
    let Ok(output) = output else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("belongs to user") && said.contains("or choose another --data-dir"), "{said}");
    postgres.stop().unwrap();
}

/// Not a test: the Keyward that gets killed. `KEYWARD_TEST_CHILD` is what to be, `KEYWARD_TEST_DIR` where.
#[test]
#[ignore = "run by other tests as a process of its own"]
fn child() {
    let Some(kind) = std::env::var_os("KEYWARD_TEST_CHILD") else { return };
    let dir = PathBuf::from(std::env::var_os("KEYWARD_TEST_DIR").unwrap());
    let settings = if kind == "keep" { KEPT } else { THROW_AWAY };
    match PrivatePostgres::start(&dir, &settings) {
        Ok(postgres) => {
            println!("\nREADY {} {}", postgres.pid(), postgres.url());
            wait(if kind == "once" { Duration::ZERO } else { Duration::from_secs(60) });
        }
        Err(fault) => println!("\nFAULT {fault}"),
    }
}
