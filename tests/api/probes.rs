//! What monitoring and people ask of a running server: probes, metrics, version, documentation.

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::client::document;
use crate::harness::postgres;
use crate::harness::server::Options;
use crate::harness::soon;
use keyward::http::operations::OPERATIONS;
use keyward::model::code::Code;
use serde_json::Value;
use serde_json::json;

const PAGES: &str = "/docs/api-reference/errors-v2";

fn client() -> Client {
    Client::new(Server::shared().url())
}

/// The value of a metric's line that begins like this, 0 if there is none.
fn metric(text: &str, line: &str) -> f64 {
    text.lines().find_map(|found| found.strip_prefix(line)).map_or(0.0, |value| value.trim().parse().unwrap())
}

#[test]
fn liveness_says_ok_under_both_versions() {
    for path in ["/v2/liveness", "/v1/liveness"] {
        let answer = client().get(path);
        assert_eq!((answer.status, &answer.body["data"]["message"]), (200, &json!("OK")));
        assert_eq!(answer.headers["x-request-id"], answer.body["meta"]["requestId"].as_str().unwrap());
    }
}

#[test]
fn probes_ask_for_no_root_key_and_mind_none() {
    for path in ["/v2/liveness", "/health/live", "/health/ready", "/metrics", "/version", "/openapi.yaml", "/docs"] {
        assert_eq!(client().get(path).status, 200, "{path}");
        assert_eq!(client().header("authorization", "Bearer nonsense").get(path).status, 200, "{path}");
    }
}

#[test]
fn a_server_on_a_migrated_database_is_ready() {
    // A database of its own: that other servers use the same one is worth a warning.
    let server = Options::default().database(postgres::fresh_database()).start();
    let client = Client::new(server.url());
    assert_eq!(client.get("/health/live").body, json!({"status": "ok"}));
    let ok = json!({"status": "ok"});
    // A node hears of changes a moment after it has begun to serve.
    soon(ok.clone(), || client.get("/health/ready").body["checks"]["changes"].clone());
    assert_eq!(
        client.get("/health/ready").body,
        json!({"status": "ok", "checks": {"changes": ok, "database": ok, "limiter": ok, "migrations": ok, "serving": ok}})
    );
}

#[test]
fn a_server_on_a_blank_database_lives_and_is_not_ready() {
    let server = Options::default().database(postgres::blank_database()).start();
    let client = Client::new(server.url());
    assert_eq!(client.get("/health/live").status, 200);
    assert_eq!(client.get("/v2/liveness").status, 200);
    let answer = client.get("/health/ready");
    assert_eq!((answer.status, &answer.body["status"]), (503, &json!("unavailable")));
    assert_eq!(answer.body["checks"]["database"]["status"], "ok");
    assert_eq!(answer.body["checks"]["migrations"]["status"], "failed");
    assert_eq!(answer.body["checks"]["limiter"]["status"], "failed", "its counters cannot be loaded");
    assert!(answer.headers.contains_key("retry-after"));
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(client().get("/version").body, json!({"version": env!("CARGO_PKG_VERSION")}));
}

#[test]
fn metrics_count_requests_and_outcomes() {
    let server = Options::default().start();
    let world = World::on(&server);
    let scrape = || world.anonymous().get("/metrics").text;
    let before = scrape();
    for outcome in ["VALID", "NOT_FOUND", "DISABLED", "EXPIRED", "FORBIDDEN"] {
        assert!(before.contains(&format!("keyward_verifications_total{{outcome=\"{outcome}\"}} 0")), "{before}");
    }
    let (api, listed) = (world.api(), world.api_with(json!({"ipWhitelist": ["192.0.2.1"]})));
    let keys = [
        ("VALID", world.key(&api, json!({})).plaintext),
        ("NOT_FOUND", "unknown".to_owned()),
        ("DISABLED", world.key(&api, json!({"enabled": false})).plaintext),
        ("EXPIRED", world.key(&api, json!({"expires": 1})).plaintext),
        ("FORBIDDEN", world.key(&listed, json!({})).plaintext),
    ];
    for (round, (outcome, key)) in keys.iter().enumerate() {
        for _ in 0..=round {
            assert_eq!(world.verdict(key), *outcome);
        }
    }
    world.admin.call("keys.verifyKey", json!({})).refused(400, "unkey/application/invalid_input");
    world.anonymous().call("keys.verifyKey", json!({})).refused(401, "unkey/authentication/missing");
    world.admin.call("keys.nothing", json!({})).refused(404, "user/bad_request/unknown_operation");
    let after = scrape();
    for (round, (outcome, _)) in (1_u8..).zip(&keys) {
        let line = format!("keyward_verifications_total{{outcome=\"{outcome}\"}}");
        assert!((metric(&after, &line) - f64::from(round)).abs() < 0.1, "{line}: {after}");
    }
    for (code, operation, status, expected) in [
        ("", "keys.verifyKey", 200, 15.0),
        ("unkey/application/invalid_input", "keys.verifyKey", 400, 1.0),
        ("unkey/authentication/missing", "keys.verifyKey", 401, 1.0),
        ("user/bad_request/unknown_operation", "other", 404, 1.0),
    ] {
        let line = format!("keyward_requests_total{{code=\"{code}\",operation=\"{operation}\",status=\"{status}\"}}");
        assert!((metric(&after, &line) - expected).abs() < 0.1, "{line}: {after}");
    }
    let count = "keyward_request_duration_seconds_count{operation=\"keys.verifyKey\"}";
    assert!((metric(&after, count) - 17.0).abs() < 0.1, "{after}");
    assert!(after.contains("keyward_database_connections{state=\"idle\"}"), "{after}");
}

#[test]
fn metrics_are_labelled_with_a_bounded_set_and_no_ids() {
    let server = Options::default().start();
    let world = World::on(&server);
    let api = world.api();
    let key = world.key(&api, json!({"name": "a telling name"}));
    world.verify(&key.plaintext);
    world.admin.clone().header("x-forwarded-for", "198.51.100.7").call("keys.getKey", json!({"keyId": key.id}));
    for n in 0..5 {
        world.anonymous().get(&format!("/v2/keys.nothing{n}"));
    }
    let text = world.anonymous().get("/metrics").text;
    let workspace = world.workspace.to_string();
    for secret in [
        api.as_str(),
        &key.id,
        &key.plaintext,
        world.admin.root_key(),
        &workspace,
        "a telling name",
        "127.0.0.1",
        "198.51.100.7",
        "key_",
        "api_",
        "ws_",
        "nothing",
    ] {
        // Operations and codes hold `api_not_found` and the like; ids have their random part behind it.
        let bare = ["key_", "api_", "ws_"].contains(&secret);
        let found = text.lines().filter(|line| !line.starts_with('#')).any(|line| {
            if bare { line.split('"').any(|label| label.starts_with(secret)) } else { line.contains(secret) }
        });
        assert!(!found, "{secret}: {text}");
    }
    let known: Vec<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
    for line in text.lines().filter(|line| line.contains("operation=\"")) {
        let operation = line.split_once("operation=\"").unwrap().1.split('"').next().unwrap();
        let probe = ["liveness", "live", "ready", "metrics", "version", "other"].contains(&operation);
        assert!(probe || known.contains(&operation), "{line}");
    }
    for line in text.lines().filter(|line| line.contains("code=\"") && !line.contains("code=\"\"")) {
        let code = line.split_once("code=\"").unwrap().1.split('"').next().unwrap();
        assert!(Code::from_path(code).is_some(), "{line}");
    }
}

#[test]
fn the_contract_is_served_as_it_is_tested() {
    let file = include_str!("../../openapi.yaml");
    let yaml = client().get("/openapi.yaml");
    assert_eq!(yaml.text, file);
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    let json = client().get("/openapi.json");
    assert_eq!(&json.body, document());
}

#[test]
fn the_reference_is_there_for_people_and_for_tools() {
    let html = client().header("accept", "text/html").get("/docs");
    assert!(html.headers["content-type"].starts_with("text/html"));
    assert!(html.text.contains("/openapi."), "it shows the contract");
    assert!(!html.text.contains("https://cdn") && !html.text.contains("http://"), "nothing comes from elsewhere");
}

#[test]
fn every_code_has_a_page_in_both_forms() {
    let index = client().header("accept", "text/markdown").get(PAGES);
    let index_html = client().header("accept", "text/html").get(PAGES);
    for code in Code::ALL {
        let row = code.row();
        let path = format!("{PAGES}/{}", row.path);
        let html = client().header("accept", "text/html,application/xhtml+xml,*/*;q=0.8").get(&path);
        assert_eq!((html.status, html.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"), "{path}");
        assert!(html.text.contains(row.path) && html.text.contains("<h1"), "{path}");
        assert!(html.text.contains(&row.status.to_string()) && html.text.contains(row.title), "{path}");
        let markdown = client().header("accept", "text/markdown").get(&path);
        assert_eq!(markdown.headers["content-type"], "text/markdown; charset=utf-8");
        assert_eq!((markdown.status, markdown.text.as_str()), (200, row.page));
        assert_eq!(markdown.headers["vary"], "Accept");
        for index in [&index, &index_html] {
            assert!(index.text.contains(&path), "{path} is not in the index");
        }
    }
}

#[test]
fn a_code_that_is_none_has_no_page() {
    for path in ["unkey/data/nothing_not_found", "unkey", "../../metrics", "unkey/data/key_not_found/more"] {
        assert_eq!(client().get(&format!("{PAGES}/{path}")).status, 404, "{path}");
    }
}

/// The errors that calls really get, followed to where their type leads.
#[test]
fn the_type_of_an_error_leads_to_its_page() {
    let server =
        Options::default().flags("--error-docs-url https://keys.example.com/docs/api-reference/errors-v2").start();
    let world = World::on(&server);
    let reader = world.root_key(&["api.*.read_key"]);
    let malformed = world.anonymous().header("authorization", "Basic eDp5");
    for (client, operation, body) in [
        (&world.admin, "keys.createKey", json!({})),
        (&world.anonymous(), "keys.createKey", json!({})),
        (&world.anonymous().bearer("unknown"), "keys.createKey", json!({})),
        (&malformed, "keys.createKey", json!({})),
        (&reader, "keys.createKey", json!({"apiId": "api_1"})),
        (&world.admin, "keys.createKey", json!({"apiId": "api_1"})),
        (&world.admin, "keys.getKey", json!({"keyId": "key_1"})),
        (&world.admin, "keys.nothing", Value::Null),
    ] {
        let answer = client.call(operation, body);
        let kind = answer.body["error"]["type"].as_str().unwrap().to_owned();
        let path = kind.strip_prefix("https://keys.example.com").unwrap_or_else(|| panic!("{kind}"));
        let page = Client::new(server.url()).get(path);
        assert_eq!(page.status, 200, "{kind}");
        assert!(page.text.contains(answer.body["error"]["title"].as_str().unwrap()), "{kind}");
    }
    let answer = World::new().anonymous().call("keys.getKey", json!({}));
    assert_eq!(
        answer.body["error"]["type"],
        "https://unkey.com/docs/api-reference/errors-v2/unkey/authentication/missing"
    );
}
