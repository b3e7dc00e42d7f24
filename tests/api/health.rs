//! `keyward health`: what a container's health check asks.

use crate::harness::Server;
use crate::harness::postgres;
use crate::harness::server::Options;
use std::net::TcpListener;
use std::process::Command;

fn health(arguments: &[&str], listen: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.arg("health").args(arguments).env_remove("KEYWARD_LISTEN");
    if let Some(listen) = listen {
        command.env("KEYWARD_LISTEN", listen);
    }
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said.trim().to_owned())
}

#[test]
fn a_ready_server_is_healthy() {
    let server = Server::shared();
    assert_eq!(health(&["--url", &server.url()], None), (Some(0), "ok".to_owned()));
    let everywhere = format!("0.0.0.0:{}", server.address.port());
    assert_eq!(health(&[], Some(&everywhere)), (Some(0), "ok".to_owned()));
    let (exit, said) = health(&["--json", "--url", &server.url()], None);
    assert_eq!((exit, said), (Some(0), format!(r#"{{"status":"ok","url":"{}"}}"#, server.url())));
}

#[test]
fn a_server_without_tables_is_not() {
    let server = Options::default().database(postgres::blank_database()).start();
    let (exit, said) = health(&["--url", &server.url()], None);
    assert_eq!(exit, Some(1));
    assert!(said.contains("answers 503") && said.contains("keyward migrate"), "{said}");
}

#[test]
fn nobody_and_nonsense_are_not() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (exit, said) = health(&["--url", &format!("http://{free}")], None);
    assert_eq!(exit, Some(1));
    assert!(said.contains("does not answer"), "{said}");
    assert_eq!(health(&["--url", "https://127.0.0.1:1"], None).0, Some(2));
}
