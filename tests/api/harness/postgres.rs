//! The throw-away Postgres: the same code as `keyward dev`, without durability, ending with the tests.
//! `KEYWARD_TEST_DATABASE_URL` names another server instead, as a user who may create databases.

use diesel::Connection;
use diesel::PgConnection;
use diesel::RunQueryDsl;
use keyward::cli::postgres::PrivatePostgres;
use keyward::cli::postgres::Settings;
use keyward::store::database;
use keyward::store::migrations;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

struct Cluster {
    admin_url: String,
    /// Kept alive until the process ends; then it stops by itself.
    _private: Option<PrivatePostgres>,
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| match std::env::var_os("KEYWARD_TEST_DATABASE_URL") {
    Some(url) => Cluster { admin_url: url.into_string().expect("a URL"), _private: None },
    None => {
        remove_stale_folders();
        let folder = folder_of(std::process::id());
        let settings = Settings { durable: false, dies_with_parent: true, max_connections: 300 };
        let private = PrivatePostgres::start(&folder, &settings).expect("a private Postgres");
        Cluster { admin_url: private.admin_url().to_owned(), _private: Some(private) }
    }
});

/// A migrated, empty database to copy others from.
static TEMPLATE: LazyLock<String> = LazyLock::new(|| {
    let name = format!("keyward_template_{}", std::process::id());
    let url = create(&name, "template0");
    let mut connection = database::connect(&url).expect("the template database");
    migrations::run(&mut connection).expect("the migrations");
    name
});

/// The one database that most tests share, each in a workspace of its own.
pub fn shared_database() -> &'static str {
    static SHARED: LazyLock<String> = LazyLock::new(fresh_database);
    &SHARED
}

/// The URL of a database of its own, migrated and empty.
pub fn fresh_database() -> String {
    // Postgres refuses to copy a template that another copy is reading.
    static ONE_COPY: Mutex<()> = Mutex::new(());
    let _turn = ONE_COPY.lock().unwrap();
    create(&unique("keyward_test"), &TEMPLATE)
}

/// The URL of a database of its own, without any table.
pub fn blank_database() -> String {
    create(&unique("keyward_blank"), "template0")
}

/// Rows of a query as JSON objects.
pub fn rows(url: &str, query: &str) -> Vec<serde_json::Value> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Json)]
        row: serde_json::Value,
    }
    let wrapped = format!("SELECT to_json(t) AS row FROM ({query}) AS t");
    let ask = |connection: &mut PgConnection| diesel::sql_query(&wrapped).load::<Row>(connection);
    // A test asks often; a connection that a fault has ended is made anew.
    let kept = KEPT.with(|kept| kept.borrow_mut().remove(url));
    let answered = kept.and_then(|mut connection| ask(&mut connection).ok().map(|rows| (connection, rows)));
    let (connection, rows) = answered.unwrap_or_else(|| {
        let mut connection = PgConnection::establish(url).unwrap();
        let rows = ask(&mut connection).unwrap();
        (connection, rows)
    });
    KEPT.with(|kept| kept.borrow_mut().insert(url.to_owned(), connection));
    rows.into_iter().map(|row| row.row).collect()
}

thread_local! {
    static KEPT: RefCell<HashMap<String, PgConnection>> = RefCell::default();
}

/// Runs a statement.
pub fn execute(url: &str, statement: &str) {
    let mut connection = PgConnection::establish(url).unwrap();
    diesel::sql_query(statement).execute(&mut connection).unwrap();
}

fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn create(name: &str, template: &str) -> String {
    execute(&CLUSTER.admin_url, &format!("CREATE DATABASE {name} TEMPLATE {template}"));
    let (start, parameters) = CLUSTER.admin_url.split_once('?').unwrap_or((&CLUSTER.admin_url, ""));
    let server = start.rsplit_once('/').unwrap().0;
    format!("{server}/{name}?{parameters}")
}

fn folder_of(pid: u32) -> PathBuf {
    std::env::temp_dir().join(format!("keyward-tests-{pid}"))
}

/// A killed test leaves its folder behind.
fn remove_stale_folders() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let pid = name.strip_prefix("keyward-tests-").and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
