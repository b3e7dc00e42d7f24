//! The command line, as scripts use it: what it prints where, how it ends, what it refuses.

mod audit;
mod doctor;
mod permissions;
mod settings;
mod simulate;

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::process::Ran;
use crate::harness::server::Options;
use crate::harness::soon;
use keyward::authz::preset::Preset;
use keyward::http::docs;
use keyward::model::master_key::MasterKeys;
use serde_json::Value;
use serde_json::json;
use std::path::Path;

const BOOTSTRAP: &str = "bootstrap_0123456789_abcdefghij";

/// A database with the workspace `acme`.
fn acme() -> String {
    let url = postgres::fresh_database();
    keyward("workspace create acme").database(&url).run().ok();
    url
}

fn serve_on(url: &str) -> Server {
    Options::default().database(url).start()
}

/// A root key minted by the command line, with these arguments.
fn mint(url: &str, arguments: &str) -> String {
    let ran = keyward("root-key create --workspace acme").database(url);
    let ran = arguments.split_whitespace().fold(ran, |ran, argument| ran.arg(argument)).run().ok();
    ran.last_line().to_owned()
}

/// The one line of a failure's JSON form.
fn error(ran: Ran, code: i32) -> Value {
    let said = ran.fails(code);
    let body: Value = serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(body["error"]["exit"], json!(code));
    body["error"].clone()
}

#[test]
fn a_workspace_is_made_listed_disabled_and_enabled() {
    let url = postgres::fresh_database();
    let made = keyward("workspace create acme").database(&url).run().ok();
    let id = made.stdout.trim();
    assert!(id.starts_with("ws_") && !id.contains(char::is_whitespace), "{id}");
    let row = keyward("workspace create --json other").database(&url).run().json();
    assert_eq!(
        (&row["name"], &row["enabled"], &row["requestsPerMinute"]),
        (&json!("other"), &json!(true), &json!(null))
    );

    let listed = keyward("workspace list").database(&url).run().ok().stdout;
    assert!(listed.starts_with("ID ") && listed.contains(id) && listed.contains("acme"), "{listed}");
    let disabled = keyward("workspace disable acme").database(&url).run().ok();
    assert!(disabled.stdout.trim() == id && disabled.stderr.contains("workspace acme is disabled\n"), "{disabled:?}");
    let again = keyward("workspace disable").arg(id).database(&url).run().ok();
    assert!(again.stderr.contains("disabled, as it was"), "{again:?}");
    let rows = keyward("workspace list --json").database(&url).run().json();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!((&rows[0]["id"], &rows[0]["enabled"]), (&json!(id), &json!(false)));
    assert_eq!(keyward("workspace enable acme --json").database(&url).run().json()["enabled"], json!(true));
}

#[test]
fn a_workspace_that_cannot_be_made_or_found_is_refused() {
    let url = acme();
    let taken = error(keyward("workspace create acme --json").database(&url).run(), 2);
    assert!(taken["message"].as_str().unwrap().contains("acme"), "{taken}");
    for arguments in [
        "workspace enable nobody",
        "workspace disable nobody",
        "workspace limit nobody --requests-per-minute 1",
        "root-key list --workspace nobody",
        "root-key create --workspace nobody --preset admin",
    ] {
        assert_eq!(keyward(arguments).database(&url).run().fails(4), "keyward: there is no workspace `nobody`\n");
        let error = error(keyward(arguments).arg("--json").database(&url).run(), 4);
        assert_eq!(
            (&error["kind"], &error["message"]),
            (&json!("not_found"), &json!("there is no workspace `nobody`"))
        );
    }
    keyward("workspace create").arg("").database(&url).run().fails(2);
    keyward("workspace create").arg("a\nb").database(&url).run().fails(2);
}

#[test]
fn a_disabled_workspace_is_refused_and_an_enabled_one_served_again() {
    let url = acme();
    let server = serve_on(&url);
    let client = Client::new(server.url()).bearer(mint(&url, "--preset admin"));
    client.ok("apis.createApi", json!({"name": "mine"}));
    let said = || client.call("apis.createApi", json!({"name": "mine"})).code().to_owned();
    keyward("workspace disable acme").database(&url).run().ok();
    soon("unkey/authorization/workspace_disabled".to_owned(), said);
    keyward("workspace enable acme").database(&url).run().ok();
    soon(String::new(), said);
}

#[test]
fn a_workspaces_limit_holds_for_each_root_key() {
    let url = acme();
    let server = serve_on(&url);
    let client = |server: &Server| Client::new(server.url()).bearer(mint(&url, "--preset admin"));
    let (one, other) = (client(&server), client(&server));
    let row = keyward("workspace limit acme --requests-per-minute 2 --json").database(&url).run().json();
    assert_eq!(row["requestsPerMinute"], json!(2));
    let refused_third = |statuses: [u16; 3]| statuses[2] == 429 && !statuses[..2].contains(&429);
    let limited = |client: &Client| [1, 2, 3].map(|_| client.call("apis.createApi", json!({"name": "mine"})).status);
    assert!(refused_third(limited(&one)) && refused_third(limited(&other)));
    // The server hears of what another process has changed, a moment later.
    keyward("workspace limit acme --requests-per-minute unlimited").database(&url).run().ok();
    soon([200; 3], || limited(&one));
    keyward("workspace limit acme --requests-per-minute 0").database(&url).run().ok();
    soon([429; 3], || limited(&one));
    for nonsense in ["-1", "many", "2147483648"] {
        keyward("workspace limit acme").arg(format!("--requests-per-minute={nonsense}")).database(&url).run().fails(2);
    }
}

#[test]
fn a_minted_root_key_stands_alone_on_the_last_line_and_works() {
    let url = acme();
    let minted = keyward("root-key create --workspace acme --preset admin --name ci").database(&url).run().ok();
    let key = minted.last_line();
    assert!(key.starts_with("keyward_root_") && !key.contains(char::is_whitespace), "{key}");
    assert!(minted.stdout.ends_with('\n') && !minted.stderr.contains(key), "the talk does not repeat the key");
    let as_json = keyward("root-key create --workspace acme --preset verify --json").database(&url).run().json();
    let server = serve_on(&url);
    Client::new(server.url()).bearer(key).ok("apis.createApi", json!({"name": "mine"}));
    let verifier = Client::new(server.url()).bearer(as_json["key"].as_str().unwrap());
    assert_eq!(verifier.ok("keys.verifyKey", json!({"key": "sk_unknown"}))["code"], json!("NOT_FOUND"));

    let listed = keyward("root-key list --workspace acme").database(&url).run().ok().stdout;
    assert!(listed.contains("ci") && !listed.contains(key), "{listed}");
    let rows = keyward("root-key list --json").database(&url).run().json();
    let row = rows.as_array().unwrap().iter().find(|row| row["name"] == json!("ci")).unwrap();
    let id = row["keyId"].as_str().unwrap();
    assert!(listed.contains(id) && minted.stderr.contains(id));
    assert!(key.ends_with(row["end"].as_str().unwrap()) && key.starts_with(row["start"].as_str().unwrap()));
}

#[test]
fn a_root_key_holds_exactly_its_permissions() {
    let url = acme();
    let held = || {
        let rows = keyward("root-key list --json").database(&url).run().json();
        let newest = rows.as_array().unwrap().iter().max_by_key(|row| row["createdAt"].as_i64()).unwrap().clone();
        keyward("root-key revoke").arg(newest["keyId"].as_str().unwrap()).database(&url).run().ok();
        let mut held: Vec<_> =
            newest["permissions"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect();
        held.sort();
        held
    };
    for preset in Preset::ALL {
        mint(&url, &format!("--preset {}", preset.name()));
        let mut expected = preset.tuples();
        expected.sort();
        assert_eq!(held(), expected, "{}", preset.name());
    }
    let both = ["api.*.create_key", "api.api_1.verify_key"];
    mint(&url, "--permission api.*.create_key --permission api.api_1.verify_key");
    assert_eq!(held(), both);
    keyward("root-key create --workspace acme --permissions")
        .arg("api.*.create_key, api.api_1.verify_key")
        .database(&url)
        .run()
        .ok();
    assert_eq!(held(), both);
    keyward("root-key create --workspace acme --permissions").arg("").database(&url).run().ok();
    assert!(held().is_empty());
}

#[test]
fn a_root_key_without_the_permission_is_refused_by_the_server() {
    let url = acme();
    let server = serve_on(&url);
    let readonly = Client::new(server.url()).bearer(mint(&url, "--preset readonly"));
    readonly
        .call("apis.createApi", json!({"name": "mine"}))
        .refused(403, "unkey/authorization/insufficient_permissions");
    let none = keyward("root-key create --workspace acme --permissions").arg("").database(&url).run().ok();
    let none = Client::new(server.url()).bearer(none.last_line());
    none.call("apis.createApi", json!({"name": "mine"})).refused(403, "unkey/authorization/insufficient_permissions");
}

#[test]
fn an_unknown_permission_or_preset_is_refused_by_name() {
    let url = acme();
    let refused = |arguments: &str| {
        let ran = keyward("root-key create --workspace acme --json").database(&url);
        let ran = arguments.split_whitespace().fold(ran, |ran, argument| ran.arg(argument)).run();
        error(ran, 2)["message"].as_str().unwrap().to_owned()
    };
    let message = refused("--permissions api.*.create_key,api.*.fly");
    assert!(message.contains("api.*.fly"), "{message}");
    assert!(refused("--permission nonsense").contains("nonsense"));
    assert!(refused("--preset root").contains("admin, verify, readonly"));
    assert!(refused("").contains("--preset"), "rights must be said");
    refused("--preset admin --permission api.*.create_key");
    assert_eq!(keyward("root-key list --json").database(&url).run().json(), json!([]), "nothing was minted");
}

#[test]
fn a_root_key_expires_when_it_was_told_to() {
    let url = acme();
    let server = serve_on(&url);
    let client = Client::new(server.url()).bearer(mint(&url, "--preset admin --expires 12h"));
    client.ok("apis.createApi", json!({"name": "mine"}));
    server.clock.advance(chrono::Duration::hours(12));
    client.call("apis.createApi", json!({"name": "mine"})).refused(403, "unkey/authorization/forbidden");
    for when in ["yesterday", "2001-01-01", "0d", "-1h"] {
        let ran = keyward("root-key create --workspace acme --preset admin").arg(format!("--expires={when}"));
        let said = ran.database(&url).run().fails(2);
        assert!(said.contains(when), "{said}");
    }
}

#[test]
fn a_revoked_root_key_is_refused_at_its_next_request() {
    let url = acme();
    let server = serve_on(&url);
    let minted = keyward("root-key create --workspace acme --preset admin --json").database(&url).run().json();
    let (id, key) = (minted["keyId"].as_str().unwrap(), minted["key"].as_str().unwrap());
    let client = Client::new(server.url()).bearer(key);
    client.ok("apis.createApi", json!({"name": "mine"}));
    let revoked = keyward("root-key revoke").arg(id).database(&url).run().ok();
    assert!(revoked.stdout.is_empty() && revoked.stderr.contains(id), "{revoked:?}");
    soon(401, || client.call("apis.createApi", json!({"name": "mine"})).status);
    let again = error(keyward("root-key revoke --json").arg(id).database(&url).run(), 4);
    assert!(again["kind"] == json!("not_found") && again["message"].as_str().unwrap().contains(id), "{again}");
    assert!(keyward("root-key revoke nobody").database(&url).run().fails(4).contains("`nobody`"));
}

#[test]
fn migrations_are_listed_applied_and_then_up_to_date() {
    let url = postgres::blank_database();
    let pending = keyward("migrate --list --json").database(&url).run().json();
    assert!(pending.as_array().unwrap().iter().all(|row| row["applied"] == json!(false)));
    let said = keyward("workspace list").database(&url).run().fails(1);
    assert!(said.contains("keyward migrate"), "{said}");
    let applied = keyward("migrate").database(&url).run().ok();
    assert_eq!(applied.stdout.lines().count(), pending.as_array().unwrap().len());
    let nothing = keyward("migrate").database(&url).run().ok();
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("up to date"), "{nothing:?}");
    assert_eq!(keyward("migrate --json").database(&url).run().json(), json!([]));
    let listed = keyward("migrate --list").database(&url).run().ok().stdout;
    assert!(listed.starts_with("MIGRATION") && listed.contains("applied") && !listed.contains("pending"), "{listed}");
    keyward("workspace list").database(&url).run().ok();
}

/// Makes a recoverable key on a server with this ring; returns its id and plaintext.
fn recoverable(url: &str, ring: &str, admin: &str) -> (String, String) {
    let server = Options::default().database(url).master_keys(MasterKeys::parse(ring).unwrap()).start();
    let client = Client::new(server.url()).bearer(admin);
    let api = client.ok("apis.createApi", json!({"name": "mine"}))["apiId"].clone();
    client.ok("apis.updateApi", json!({"apiId": api, "recoverable": true}));
    let made = client.ok("keys.createKey", json!({"apiId": api, "recoverable": true}));
    (made["keyId"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

#[test]
fn a_master_key_is_changed_without_losing_a_recoverable_key() {
    let url = acme();
    let admin = mint(&url, "--preset admin");
    let old = keyward("master-key generate").run().ok().last_line().to_owned();
    let new = keyward("master-key generate --json").run().json()["masterKey"].as_str().unwrap().to_owned();
    let (id, plaintext) = recoverable(&url, &old, &admin);
    let ring = format!("{new},{old}");
    let rotate = || keyward("master-key rotate --json").env("KEYWARD_MASTER_KEY", &ring).database(&url).run().json();
    assert_eq!((rotate(), rotate()), (json!({"resealed": 1}), json!({"resealed": 0})));
    let server = Options::default().database(&url).master_keys(MasterKeys::parse(&new).unwrap()).start();
    let shown = Client::new(server.url()).bearer(admin).ok("keys.getKey", json!({"keyId": id, "decrypt": true}));
    assert_eq!(shown["plaintext"], json!(plaintext));
    let text = keyward("master-key rotate").env("KEYWARD_MASTER_KEY", &new).database(&url).run().ok().stdout;
    assert_eq!(text, "0 keys were sealed again\n");
}

#[test]
fn a_rotation_with_an_incomplete_ring_changes_nothing() {
    let url = acme();
    let admin = mint(&url, "--preset admin");
    let [first, second, third] = [(); 3].map(|()| MasterKeys::generate_entry().unwrap());
    recoverable(&url, &first, &admin);
    recoverable(&url, &second, &admin);
    let stored = || postgres::rows(&url, "SELECT * FROM sealed_keys ORDER BY key_id");
    let before = stored();
    let ran = keyward("master-key rotate --json").env("KEYWARD_MASTER_KEY", format!("{third},{second}"));
    let refused = error(ran.database(&url).run(), 1);
    let missing = first.split(':').next().unwrap();
    assert!(refused["message"].as_str().unwrap().contains(missing), "{refused}");
    assert!(keyward("master-key rotate").database(&url).run().fails(1).contains("KEYWARD_MASTER_KEY"));
    assert_eq!(stored(), before);
}

#[test]
fn a_bootstrap_root_key_is_made_once_and_stays_revoked() {
    let url = postgres::blank_database();
    let serve = || {
        let serving =
            keyward("serve --listen 127.0.0.1:0 --log-format text").env("KEYWARD_BOOTSTRAP_ROOT_KEY", BOOTSTRAP);
        serving.database(&url).start()
    };
    let mut serving = serve();
    Client::new(serving.url()).bearer(BOOTSTRAP).ok("apis.createApi", json!({"name": "mine"}));
    drop(serving);
    let mut serving = serve();
    Client::new(serving.url()).bearer(BOOTSTRAP).ok("apis.createApi", json!({"name": "mine"}));
    let rows = keyward("root-key list --workspace default --json").database(&url).run().json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    keyward("root-key revoke").arg(rows[0]["keyId"].as_str().unwrap()).database(&url).run().ok();
    drop(serving);
    let mut serving = serve();
    let refused = Client::new(serving.url()).bearer(BOOTSTRAP).call("apis.createApi", json!({"name": "mine"}));
    assert_eq!(refused.status, 401);
    let said = serving.end_by(rustix::process::Signal::TERM).ok().stderr;
    assert!(said.contains("was revoked and stays so") && !said.contains(BOOTSTRAP), "{said}");
}

#[test]
fn serve_does_not_migrate_when_it_may_not() {
    let url = postgres::blank_database();
    let said = keyward("serve --listen 127.0.0.1:0 --migrate false").database(&url).run().fails(1);
    assert!(said.contains("run `keyward migrate` first"), "{said}");
    assert!(postgres::rows(&url, "SELECT 1 FROM information_schema.tables WHERE table_name = 'workspaces'").is_empty());
    keyward("migrate").database(&url).run().ok();
    keyward("serve --listen 127.0.0.1:0").env("KEYWARD_MIGRATE", "false").database(&url).start().url();
}

#[test]
fn serve_on_a_busy_port_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = postgres::fresh_database();
    let address = taken.local_addr().unwrap().to_string();
    let said = keyward("serve").arg("--listen").arg(&address).database(&url).run().fails(1);
    assert!(said.contains(&address) && said.contains("--listen") && said.lines().count() == 1, "{said}");
}

#[test]
fn openapi_is_the_file_that_the_server_serves() {
    let file = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml")).unwrap();
    assert_eq!(keyward("openapi").run().ok().stdout, file);
    let from_yaml: Value = serde_yaml_ng::from_str(&file).unwrap();
    assert_eq!(keyward("openapi --json").run().json(), from_yaml);
    assert_eq!(serde_json::from_str::<Value>(docs::openapi_json()).unwrap(), from_yaml);
}

#[test]
fn each_shell_has_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = keyward("completions").arg(shell).run().ok().stdout;
        for word in ["keyward", "root-key", "--data-dir", "doctor"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell} lacks {word}");
        }
    }
    keyward("completions tcsh").run().fails(2);
}

#[test]
fn usage_errors_exit_2_in_both_forms() {
    for arguments in
        ["", "fly", "root-key", "workspace create", "root-key revoke", "serve --listen nowhere", "doctor --what"]
    {
        let said = keyward(arguments).run().fails(2);
        assert!(!said.trim().is_empty(), "{arguments}");
        let refused = error(keyward(arguments).arg("--json").run(), 2);
        assert_eq!(refused["kind"], json!("usage"), "{arguments}");
        assert!(!refused["message"].as_str().unwrap().starts_with("error"), "{refused}");
    }
    let said = keyward("workspace list").run().fails(2);
    assert!(said.contains("DATABASE_URL") && said.contains("--data-dir"), "{said}");
    assert!(keyward("--version").run().ok().stdout.starts_with("keyward "));
}

#[test]
fn the_database_being_away_exits_1_and_says_where_to_look() {
    for arguments in ["migrate", "migrate --list", "workspace list", "root-key list", "serve --listen 127.0.0.1:0"] {
        let said = keyward(arguments).database("postgres://nobody:hush@127.0.0.1:1/none").run().fails(1);
        assert!(said.contains("check DATABASE_URL") && !said.contains("hush"), "{said}");
    }
}

#[test]
fn help_is_what_was_reviewed() {
    fn walk(command: &clap::Command, path: &str) {
        let help = keyward(path).arg("--help").run().ok();
        assert_eq!(help.stderr, "");
        let name = format!("help {path}");
        insta::assert_snapshot!(name.trim().replace(' ', "-"), help.stdout);
        for subcommand in command.get_subcommands() {
            walk(subcommand, format!("{path} {}", subcommand.get_name()).trim());
        }
    }
    walk(&keyward::cli::command(), "");
    let create = keyward("root-key create --help").run().ok().stdout;
    for preset in Preset::ALL {
        assert!(create.contains(&format!("{}:", preset.name())));
        assert!(preset.tuples().iter().all(|tuple| create.contains(tuple)));
    }
}
