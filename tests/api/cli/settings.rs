//! Settings: misspelt, malformed, from files; secrets are never shown.

use crate::cli::BOOTSTRAP;
use crate::cli::error;
use crate::harness::Client;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::process;
use keyward::model::master_key::MasterKeys;
use serde_json::json;

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_name() {
    for (misspelt, right) in [
        ("KEYWARD_LISTN", "KEYWARD_LISTEN"),
        ("KEYWARD_MASTERKEY", "KEYWARD_MASTER_KEY"),
        ("KEYWARD_LOGS", "KEYWARD_LOG"),
        ("KEYWARD_DATABASE_URL", "DATABASE_URL"),
    ] {
        for command in ["serve", "dev", "doctor", "migrate", "workspace list", "root-key list"] {
            let said = keyward(command).env(misspelt, "hush").run().fails(2);
            let expected = format!("keyward: unknown setting {misspelt} in the environment; did you mean {right}?\n");
            assert_eq!(said, expected, "{command}");
        }
    }
}

#[test]
fn a_malformed_setting_is_refused_by_the_name_it_was_given() {
    for (name, value) in [
        ("KEYWARD_LISTEN", "8080"),
        ("KEYWARD_WORKERS", "many"),
        ("KEYWARD_DATABASE_CONNECTIONS", "0"),
        ("KEYWARD_DATABASE_TIMEOUT_MS", "1"),
        ("KEYWARD_MAX_BODY_BYTES", "10MB"),
        ("KEYWARD_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("KEYWARD_MIGRATE", "perhaps"),
        ("KEYWARD_LOG", "loud=shout"),
        ("KEYWARD_LOG_FORMAT", "xml"),
        ("KEYWARD_MASTER_KEY", "hush"),
        ("KEYWARD_BOOTSTRAP_ROOT_KEY", "hush"),
        ("KEYWARD_MASTER_KEY_FILE", "/nonexistent/ring"),
        ("DATABASE_URL_FILE", "/nonexistent/url"),
        ("KEYWARD_BOOTSTRAP_ROOT_KEY_FILE", "/nonexistent/key"),
    ] {
        let said = keyward("serve").env(name, value).run().fails(2);
        assert!(said.starts_with(&format!("keyward: {name}")) && !said.contains("hush"), "{name}: {said}");
        let refused = error(keyward("serve --json").env(name, value).run(), 2);
        assert!(refused["kind"] == json!("usage") && refused["message"].as_str().unwrap().contains(name), "{refused}");
    }
    let said = keyward("serve --workers many").env("KEYWARD_WORKERS", "2").run().fails(2);
    assert!(said.contains("--workers") && !said.contains("KEYWARD_WORKERS"), "the flag was malformed: {said}");
}

#[test]
fn a_malformed_connection_string_is_refused_without_its_password() {
    for url in [
        "mysql://u:hush@h/db",
        "postgres://u:hu%zzsh@h/db",
        "postgres://u:ok@hush@h/db",
        "postgres://u:hush/more@h/db",
        "host=h password=p hush",
        "hush",
    ] {
        for command in ["serve", "migrate", "workspace list", "doctor"] {
            let ran = keyward(command).database(url).run();
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.code, Some(if command == "doctor" { 1 } else { 2 }), "{command} {url}: {said}");
            assert!(said.contains("DATABASE_URL") && said.contains("malformed"), "{command} {url}: {said}");
            assert!(!said.contains("hush") && !said.contains("hu%zz"), "{command}: {said}");
        }
    }
}

#[test]
fn every_secret_may_come_from_a_file() {
    let url = postgres::fresh_database();
    let folder = process::folder();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path
    };
    let ring = MasterKeys::generate_entry().unwrap();
    let mut serving = keyward("serve --listen 127.0.0.1:0")
        .env("DATABASE_URL_FILE", file("url", &url))
        .env("KEYWARD_MASTER_KEY_FILE", file("ring", &ring))
        .env("KEYWARD_BOOTSTRAP_ROOT_KEY_FILE", file("key", BOOTSTRAP))
        .start();
    let client = Client::new(serving.url()).bearer(BOOTSTRAP);
    let api = client.ok("apis.createApi", json!({"name": "mine"}))["apiId"].clone();
    client.ok("apis.updateApi", json!({"apiId": api, "recoverable": true}));
    let made = client.ok("keys.createKey", json!({"apiId": api, "recoverable": true}));
    let shown = client.ok("keys.getKey", json!({"keyId": made["keyId"], "decrypt": true}));
    assert_eq!(shown["plaintext"], made["key"]);
    let ended = serving.end_by(rustix::process::Signal::TERM).ok();
    for secret in [BOOTSTRAP, &ring, made["key"].as_str().unwrap()] {
        assert!(!ended.stderr.contains(secret) && !ended.stdout.contains(secret));
    }
    keyward("workspace list").env("DATABASE_URL_FILE", folder.path().join("url")).run().ok();
}

#[test]
fn a_secret_that_is_given_twice_or_empty_is_refused() {
    let folder = process::folder();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    for name in ["DATABASE_URL", "KEYWARD_MASTER_KEY", "KEYWARD_BOOTSTRAP_ROOT_KEY"] {
        let file = format!("{name}_FILE");
        let said = keyward("serve").env(name, "hush").env(&file, &empty).run().fails(2);
        assert_eq!(said, format!("keyward: {name} and {file} are both set: keep one of them\n"));
        let said = keyward("serve").env(&file, &empty).run().fails(2);
        assert!(said.contains(&file) && said.contains("is empty"), "{said}");
    }
    let said = keyward("workspace list").database("postgres://h/db").data_dir(folder.path()).run().fails(2);
    assert!(said.contains("--data-dir") && said.contains("DATABASE_URL"), "{said}");
}

#[test]
fn help_never_shows_a_secret_of_the_environment() {
    for command in ["serve", "dev", "doctor", "migrate", "master-key rotate", "root-key create"] {
        for flag in ["--help", "-h"] {
            let ran = keyward(command).arg(flag).env("DATABASE_URL", "hush").env("KEYWARD_MASTER_KEY", "hush");
            let help = ran.env("KEYWARD_BOOTSTRAP_ROOT_KEY", "hush").run().ok().stdout;
            assert!(!help.contains("hush"), "{command}: {help}");
        }
    }
}
