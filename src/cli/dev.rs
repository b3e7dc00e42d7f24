//! `keyward dev`: everything on one machine, in one folder.

use crate::app::App;
use crate::authz::caller::Permit;
use crate::authz::preset::Preset;
use crate::cli::database::DEFAULT_DATA_DIR;
use crate::cli::database::Reach;
use crate::cli::logging;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::cli::postgres;
use crate::cli::postgres::PrivatePostgres;
use crate::cli::prepare;
use crate::config::Settings;
use crate::domain::root_keys;
use crate::domain::root_keys::MIN_BOOTSTRAP_LENGTH;
use crate::domain::root_keys::Mint;
use crate::domain::workspaces;
use crate::model::code::Code;
use crate::model::master_key::MasterKeys;
use crate::model::origin::Actor;
use crate::model::origin::Origin;
use crate::model::secret::Plaintext;
use clap::Args;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// Connections of the private Postgres that are left for other commands and for `psql`.
const SPARE_CONNECTIONS: u32 = 24;

/// Start everything on this machine: a private Postgres, an admin root key, the server
#[derive(Args, Debug)]
pub struct Dev {
    #[command(flatten)]
    settings: Settings,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    url: String,
    data_dir: &'a Path,
    root_key_file: &'a Path,
    database_url: &'a str,
}

impl Dev {
    /// Serves until it is told to stop; the private Postgres starts and stops with it.
    ///
    /// # Errors
    /// One line that says what to do.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let settings = self.settings;
        if reach.settings.url()?.is_some() {
            return Err(Failure::usage(
                "`keyward dev` has a Postgres of its own: use `keyward serve` with DATABASE_URL, or unset it",
            ));
        }
        let _log = logging::start(&settings)?;
        let bootstrap = settings.bootstrap_root_key(MIN_BOOTSTRAP_LENGTH)?;
        let configured = settings.master_key.ring()?;
        prepare::check_redis_url(&settings)?;
        let listener = prepare::listen(settings.listen)?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        // Before Postgres starts: whatever ends Keyward from here on stops Postgres too.
        let runtime = prepare::Runtime::catch_signals()?;
        let data_dir = reach.data_dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
        let connections = settings.database_connections.saturating_add(SPARE_CONNECTIONS);
        let postgres = PrivatePostgres::start(
            &data_dir,
            &postgres::Settings {
                durable: true,
                dies_with_parent: false,
                max_connections: u16::try_from(connections).unwrap_or(u16::MAX),
            },
        )?;
        prepare::migrate(postgres.url(), true)?;
        let master_keys = if configured.is_empty() { own_master_key(&data_dir)? } else { configured };
        let app = prepare::app(settings, postgres.url(), master_keys)?;
        if let Some(plaintext) = &bootstrap {
            prepare::bootstrap(&app, plaintext)?;
        }
        let file = data_dir.join("root-key");
        let minted = own_root_key(&app, &file)?;
        let started = Started {
            url: format!("http://{}", reachable(address)),
            data_dir: &data_dir,
            root_key_file: &file,
            database_url: postgres.url(),
        };
        if out.json {
            out.data(&started, String::new)?;
        }
        runtime.serve(app, listener, || out.say(welcome(&started, minted.as_ref())))?;
        postgres.stop()?;
        out.say("keyward has stopped; everything is kept for the next start");
        Ok(())
    }
}

/// A wildcard address cannot be called; this one can.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// The master key of the folder, made at the first start.
fn own_master_key(data_dir: &Path) -> Result<MasterKeys, Failure> {
    let file = data_dir.join("master-key");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let entry = MasterKeys::generate_entry()?;
            write_secret(&file, &entry)?;
            entry
        }
        Err(error) => return Err(Failure::failed(format!("cannot read {}: {error}", file.display()))),
    };
    MasterKeys::parse(text.trim())
        .map_err(|reason| Failure::failed(format!("{} is malformed: {reason}", file.display())))
}

/// Makes sure that the folder's root key works; returns it if it was minted now.
fn own_root_key(app: &App, file: &Path) -> Result<Option<Plaintext>, Failure> {
    if let Ok(text) = std::fs::read_to_string(file) {
        let hash = Plaintext::new(text.trim()).hash();
        // One that is known and refused, since its workspace is disabled say, is not helped by a second one.
        let known = app.db.read_now(|tx| root_keys::admitted(tx, &hash));
        if !known.is_err_and(|error| error.code == Code::RootKeyNotFound) {
            return Ok(None);
        }
    }
    let (_, plaintext) = app.db.write_now(&Origin::local(Actor::System), |tx| {
        let workspace = workspaces::find_or_create(tx, root_keys::DEFAULT_WORKSPACE)?;
        let mint = Mint { name: Some("dev".to_owned()), permissions: Preset::Admin.tuples(), expires_at: None };
        root_keys::mint(tx, &Permit::of_operator(workspace.id), &mint)
    })?;
    write_secret(file, plaintext.reveal())?;
    Ok(Some(plaintext))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_secret(file: &Path, text: &str) -> Result<(), Failure> {
    let fault = |error: std::io::Error| Failure::failed(format!("cannot write {}: {error}", file.display()));
    let half = file.with_extension("new");
    let _ = std::fs::remove_file(&half);
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half).map_err(fault)?;
    open.write_all(text.as_bytes())
        .and_then(|()| open.write_all(b"\n"))
        .and_then(|()| open.sync_all())
        .map_err(fault)?;
    std::fs::rename(&half, file).map_err(fault)
}

fn welcome(started: &Started<'_>, minted: Option<&Plaintext>) -> String {
    let (url, file) = (&started.url, started.root_key_file.display());
    let quoted = format!("'{}'", file.to_string().replace('\'', r"'\''"));
    let key = minted.map_or_else(
        || format!("Root key: in {file}"),
        |key| format!("Root key (kept in {file}, shown this once):\n\n  {}", key.reveal()),
    );
    format!(
        "\nKeyward serves on {url}   API reference: {url}/docs\n{key}\n\nTry it:\n\n\
         \x20 ROOT_KEY=$(cat {quoted})\n\
         \x20 API_ID=$(curl -s {url}/v2/apis.createApi -H \"Authorization: Bearer $ROOT_KEY\" -H 'Content-Type: application/json' \
         -d '{{\"name\":\"my api\"}}' | sed 's/.*\"apiId\":\"\\([^\"]*\\)\".*/\\1/')\n\
         \x20 KEY=$(curl -s {url}/v2/keys.createKey -H \"Authorization: Bearer $ROOT_KEY\" -H 'Content-Type: application/json' \
         -d \"{{\\\"apiId\\\":\\\"$API_ID\\\",\\\"prefix\\\":\\\"sk\\\"}}\" | sed 's/.*\"key\":\"\\([^\"]*\\)\".*/\\1/')\n\
         \x20 curl -s {url}/v2/keys.verifyKey -H \"Authorization: Bearer $ROOT_KEY\" -H 'Content-Type: application/json' \
         -d \"{{\\\"key\\\":\\\"$KEY\\\"}}\"\n\n\
         Ctrl-C stops the server and its Postgres; the data stays in {}.\n",
        started.data_dir.display()
    )
}
