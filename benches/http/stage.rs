//! What the measurements work on: a Postgres of its own, millions of keys in it, and servers that are started when needed.

use crate::Fault;
use crate::load;
use crate::load::Keys;
use crate::options::Options;
use crate::process;
use crate::process::Running;
use crate::wire::Client;
use crate::wire::PREFIX;
use crate::wire::Question;
use crate::wire::SLOT;
use diesel::Connection;
use diesel::PgConnection;
use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use keyward::authz::preset::Preset;
use keyward::cli::postgres::PrivatePostgres;
use keyward::cli::postgres::Settings;
use keyward::model::secret::Plaintext;
use rustix::process::Pid;
use std::fs::File;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Keys that the warm cases use, of those without anything special.
pub const HOT: Keys = Keys::new(0, 1_000);
/// Disabled keys.
pub const DISABLED: Keys = Keys::new(1_000_000_000, 1_000);
/// Keys that hold what the permission query asks for.
pub const PERMITTED: Keys = Keys::new(2_000_000_000, 1_000);
/// Keys with two rate limits that apply by themselves.
pub const LIMITED: Keys = Keys::new(3_000_000_000, 1_000);
/// Keys with credits.
pub const CREDITED: Keys = Keys::new(4_000_000_000, 10_000);
/// Keys with credits that only the plain UPDATE spends.
pub const UPDATED: Keys = Keys::new(5_000_000_000, 10_000);
/// Keys that are revoked.
pub const REVOKED: Keys = Keys::new(6_000_000_000, 2_000);

/// Longest time that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// Every key carries this.
const META: &str = r#"{"plan":"pro","region":"eu-central","seats":25,"note":"never looked at"}"#;

/// Which process runs on which cores; none is all.
#[derive(Clone, Debug)]
pub struct Cores {
    /// The server under test, or what it is compared with.
    pub server: Vec<usize>,
    /// The client.
    pub load: Vec<usize>,
    /// Postgres.
    pub database: Vec<usize>,
}

impl Cores {
    /// One for the server, one for the client; Postgres has the others, or shares both where there are only two.
    fn of_machine() -> Self {
        match std::thread::available_parallelism().map_or(1, usize::from) {
            1 => Self { server: Vec::new(), load: Vec::new(), database: Vec::new() },
            2 => Self { server: vec![0], load: vec![1], database: Vec::new() },
            cores => Self { server: vec![0], load: vec![1], database: (2..cores).collect() },
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    running: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }
}

/// The stage.
#[derive(Debug)]
pub struct Stage {
    /// How it was asked to measure.
    pub options: Options,
    /// Who runs where.
    pub cores: Cores,
    /// A root key that may do everything.
    pub root_key: String,
    /// A root key that may verify, as a service in production has.
    pub verifier: String,
    /// The API of the keys.
    pub api: String,
    workspace: String,
    stored: u64,
    help: String,
    postgres: PrivatePostgres,
}

impl Stage {
    /// Sets it: a database, migrated, with an API, and all keys but the many plain ones.
    pub fn set(folder: &Path, options: Options) -> Result<Self, Fault> {
        let settings = Settings { durable: true, dies_with_parent: true, max_connections: 150 };
        let postgres = PrivatePostgres::start(&folder.join("data"), &settings).map_err(|fault| fault.to_string())?;
        let cores = Cores::of_machine();
        let postmaster = i32::try_from(postgres.pid()).ok().and_then(Pid::from_raw);
        process::bind(postmaster, &cores.database)?;
        let help = Command::new(load::keyward()).args(["serve", "--help"]).output()?;
        let root_key = Plaintext::generate(Some("bench"), 24).map_err(|error| error.detail)?.reveal().to_owned();
        let mut stage = Self {
            options,
            cores,
            root_key,
            verifier: String::new(),
            api: String::new(),
            workspace: String::new(),
            stored: 0,
            help: String::from_utf8_lossy(&help.stdout).into_owned(),
            postgres,
        };
        let bootstrap = stage.root_key.clone();
        let server = stage.serve(&[("KEYWARD_BOOTSTRAP_ROOT_KEY", &bootstrap)])?;
        let made = |operation: &str, body: &str, pointer: &str| -> Result<String, Fault> {
            let (_, body) = Client::of(server.address).ask(&stage.question(operation, body), 0)?;
            let body: serde_json::Value = serde_json::from_str(&body)?;
            let value = body.pointer(pointer).and_then(|value| value.as_str());
            Ok(value.ok_or_else(|| format!("{operation} answers without {pointer}"))?.to_owned())
        };
        let api = made("apis.createApi", r#"{"name":"benchmark"}"#, "/data/apiId")?;
        let permissions = serde_json::json!({ "permissions": Preset::Verify.tuples() });
        let verifier = made("rootKeys.createKey", &permissions.to_string(), "/data/key")?;
        (stage.api, stage.verifier) = (api, verifier);
        drop(server);
        stage.workspace = stage.text("SELECT id AS text FROM workspaces")?;
        stage.store_special()?;
        Ok(stage)
    }

    /// A request of an operation.
    pub fn question(&self, operation: &str, body: &str) -> Question {
        Question::new(&format!("/v2/{operation}"), body, &self.root_key)
    }

    /// A verification of a key; `more` follows in the body, beginning with a comma.
    pub fn verification(&self, more: &str) -> Question {
        Question::new("/v2/keys.verifyKey", &format!(r#"{{"key":"{PREFIX}{SLOT}"{more}}}"#), &self.verifier)
    }

    /// Process of the database.
    pub fn database_pid(&self) -> u32 {
        self.postgres.pid()
    }

    /// Plain keys that are stored.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Whether the server knows a setting. An unknown one would keep it from starting.
    pub fn knows(&self, setting: &str) -> bool {
        self.help.contains(setting)
    }

    /// Starts `keyward serve` with these settings, those among them that it knows.
    pub fn serve(&self, settings: &[(&str, &str)]) -> Result<Server, Fault> {
        let port = free_port()?;
        let mut command = process::pinned(&self.cores.server, load::keyward());
        command.arg("serve").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("DATABASE_URL", self.postgres.url()).env("KEYWARD_LISTEN", format!("127.0.0.1:{port}"));
        command.envs(settings.iter().filter(|(name, _)| self.knows(name)).copied());
        for setting in &self.options.setting {
            let (name, value) = setting.split_once('=').ok_or("--setting takes NAME=VALUE")?;
            command.env(name, value);
        }
        self.started(command, port)
    }

    /// Starts what Keyward is compared with.
    pub fn floor(&self) -> Result<Server, Fault> {
        let port = free_port()?;
        let mut command = process::pinned(&self.cores.server, &std::env::current_exe()?);
        command.arg(process::FLOOR).arg(port.to_string()).arg(self.postgres.url()).arg(&self.workspace);
        self.started(command, port)
    }

    fn started(&self, mut command: Command, port: u16) -> Result<Server, Fault> {
        let log = match &self.options.log_to {
            Some(path) => Stdio::from(File::options().create(true).append(true).open(path)?),
            None => Stdio::null(),
        };
        let mut running = Running::start(command.stdout(Stdio::null()).stderr(log))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let begun = Instant::now();
        while !Client::of(address).is_ok("/health/ready") {
            running.lives()?;
            if begun.elapsed() > PATIENCE {
                return Err("a server does not become ready; `--log-to FILE` shows what it says".into());
            }
            process::wait(Duration::from_millis(1));
        }
        Ok(Server { running, address })
    }

    /// Stores plain keys until there are so many.
    pub fn store(&mut self, keys: u64) -> Result<(), Fault> {
        if keys > self.stored {
            self.insert(Keys::new(self.stored, keys - self.stored), true)?;
            // What a database in use has long done: statistics, visibility, and the writing of what the insert left dirty.
            self.execute("VACUUM ANALYZE keys")?;
            self.execute("CHECKPOINT")?;
            self.stored = keys;
        }
        Ok(())
    }

    fn store_special(&self) -> Result<(), Fault> {
        let workspace = &self.workspace;
        self.insert(DISABLED, false)?;
        for keys in [PERMITTED, LIMITED, CREDITED, UPDATED, REVOKED] {
            self.insert(keys, true)?;
        }
        let ids = |keys: Keys| format!("SELECT id, right(id, 10) AS n FROM keys WHERE {}", within(keys));
        self.execute(&format!(
            "INSERT INTO permissions (id, workspace_id, slug, name, created_at)
             SELECT 'perm_bench_' || n, '{workspace}', 'documents.' || n, n, now() FROM unnest(ARRAY['read', 'write', 'share']) n;
             INSERT INTO roles (id, workspace_id, name, created_at) VALUES ('role_bench', '{workspace}', 'editor', now());
             INSERT INTO role_permissions (role_id, permission_id, workspace_id)
             SELECT 'role_bench', id, workspace_id FROM permissions WHERE slug <> 'documents.share';
             INSERT INTO key_roles (key_id, role_id, workspace_id) SELECT id, 'role_bench', '{workspace}' FROM ({permitted}) k;
             INSERT INTO key_permissions (key_id, permission_id, workspace_id)
             SELECT id, 'perm_bench_share', '{workspace}' FROM ({permitted}) k;
             INSERT INTO rate_limits (id, workspace_id, key_id, name, \"limit\", duration_ms, auto_apply)
             SELECT 'rl_bench_' || n || d, '{workspace}', id, 'every ' || d, 1000000000, d, true
             FROM ({limited}) k, unnest(ARRAY[60000, 3600000]) d;
             INSERT INTO credits (key_id, workspace_id, remaining, refilled_at)
             SELECT id, '{workspace}', 1000000000000, now() FROM ({credited} UNION ALL {updated}) k;",
            permitted = ids(PERMITTED),
            limited = ids(LIMITED),
            credited = ids(CREDITED),
            updated = ids(UPDATED),
        ))?;
        for table in ["keys", "permissions", "roles", "key_roles", "key_permissions", "rate_limits", "credits"] {
            self.execute(&format!("VACUUM ANALYZE {table}"))?;
        }
        Ok(())
    }

    fn insert(&self, Keys { first, count }: Keys, enabled: bool) -> Result<(), Fault> {
        let (workspace, api, last) = (&self.workspace, &self.api, first + count - 1);
        // The rows refer to what is there; to check that for each of a million takes most of the time.
        self.execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO keys (id, workspace_id, api_id, hash, start, name, meta, enabled, created_at)
             SELECT 'key_bench_' || n, '{workspace}', '{api}', sha256(convert_to('{PREFIX}' || n, 'UTF8')),
                    '{PREFIX}', 'key of the benchmark', '{META}', {enabled}, now()
             FROM (SELECT lpad(i::text, 10, '0') AS n FROM generate_series({first}::bigint, {last}::bigint) i) numbers"
        ))
    }

    /// Runs statements.
    pub fn execute(&self, statements: &str) -> Result<(), Fault> {
        Ok(PgConnection::establish(self.postgres.url())?.batch_execute(statements)?)
    }

    /// The one text that a query finds.
    pub fn text(&self, query: &str) -> Result<String, Fault> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            text: String,
        }
        let mut connection = PgConnection::establish(self.postgres.url())?;
        Ok(diesel::sql_query(query).get_result::<Row>(&mut connection)?.text)
    }
}

fn within(Keys { first, count }: Keys) -> String {
    format!("id BETWEEN 'key_bench_{first:010}' AND 'key_bench_{:010}'", first + count - 1)
}

/// A port that nobody listens on, a moment ago.
fn free_port() -> Result<u16, Fault> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
