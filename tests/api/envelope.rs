//! The envelope of every answer, the media types of errors, the requests that match no operation.

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::client::document;
use crate::harness::raw;
use actix_web::test as service;
use actix_web::web;
use keyward::authz::action::Action;
use keyward::http;
use keyward::http::call::Call;
use keyward::http::call::Reply;
use keyward::http::contract::Contract;
use keyward::http::docs;
use keyward::http::envelope::Empty;
use keyward::http::observe::observe;
use keyward::http::operations::OPERATIONS;
use keyward::http::operations::Operation;
use keyward::http::rpc::rpc;
use keyward::http::state::State;
use keyward::model::error::Result;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;

const INVALID: &str = "unkey/application/invalid_input";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

fn request(method: &str, path: &str, headers: &[&str]) -> String {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\n{lines}Content-Length: 0\r\n\r\n")
}

#[test]
fn an_unknown_path_is_a_404_in_the_envelope() {
    let server = Server::shared();
    for path in [
        "/",
        "/v2",
        "/v2/",
        "/v2/keys.createkey",
        "/v2/keys.verifyKey/",
        "/v2//keys.verifyKey",
        "/v3/keys.verifyKey",
        "/V2/keys.verifyKey",
        "/keys.verifyKey",
        "/v2/keys.verifyKey%00",
        "/v2/%2e%2e/metrics",
        "/favicon.ico",
        "/%ff",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = raw::exchange(server, request(method, path, &[]));
            answer.refused(404, "user/bad_request/unknown_operation");
            assert!(answer.body["error"].get("errors").is_none());
        }
    }
}

#[test]
fn a_wrong_method_is_a_405_in_the_envelope_that_tells_the_right_one() {
    let server = Server::shared();
    for operation in OPERATIONS {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            for version in ["v1", "v2"] {
                let answer = raw::exchange(server, request(method, &format!("/{version}/{}", operation.name), &[]));
                answer.refused(405, "user/bad_request/method_not_allowed");
                assert_eq!(answer.headers["allow"], "POST");
                assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")));
            }
        }
    }
    for path in ["/v2/liveness", "/health/live", "/health/ready", "/metrics", "/version", "/openapi.yaml", "/docs"] {
        let answer = raw::exchange(server, request("POST", path, &[]));
        answer.refused(405, "user/bad_request/method_not_allowed");
        assert_eq!(answer.headers["allow"], "GET, HEAD", "{path}");
        let head = raw::exchange(server, request("HEAD", path, &[]));
        assert_eq!((head.status, head.text.as_str()), (200, ""), "HEAD {path}");
    }
}

#[test]
fn the_media_type_of_an_error_is_negotiated() {
    let world = World::new();
    let media_type = |accept: Option<&str>, path: &str, body: &str| {
        let bearer = format!("Authorization: Bearer {}", world.admin.root_key());
        let mut headers = vec![bearer];
        headers.extend(accept.map(|accept| format!("Accept: {accept}")));
        let answer = raw::exchange(world.server, raw::post(path, &headers, body));
        assert!(answer.status >= 400);
        answer.headers["content-type"].clone()
    };
    let missing = json!({"keyId": "key_that_never_was"}).to_string();
    for (accept, expected) in [
        (None, JSON),
        (Some(""), JSON),
        (Some("application/json"), JSON),
        (Some("text/html"), JSON),
        (Some("*/*"), PROBLEM),
        (Some("application/*"), PROBLEM),
        (Some("application/problem+json"), PROBLEM),
        (Some("APPLICATION/PROBLEM+JSON"), PROBLEM),
        (Some("application/json, */*;q=0"), PROBLEM),
        (Some("text/html, application/problem+json;q=0.1"), PROBLEM),
    ] {
        assert_eq!(media_type(accept, "keys.getKey", &missing), expected, "{accept:?}");
        assert_eq!(media_type(accept, "keys.nothing", "{}"), expected, "{accept:?}");
        assert_eq!(media_type(accept, "keys.getKey", "{}"), JSON, "the schema check always answers plain JSON");
    }
}

#[test]
fn a_success_is_json_whatever_is_accepted() {
    let world = World::new();
    for accept in ["*/*", "application/problem+json", "text/html", "image/png"] {
        let answer = world.admin.clone().header("accept", accept).call("keys.verifyKey", json!({"key": "x"}));
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, JSON));
        assert_eq!(answer.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["meta", "data"]);
    }
}

#[test]
fn request_ids_are_unique_ordered_in_time_and_in_the_header() {
    let world = World::new();
    let client = world.admin.clone().header("x-request-id", "req_chosen_by_the_client");
    let mut last = String::new();
    for call in 0..30 {
        let answer = match call % 3 {
            0 => client.call("keys.verifyKey", json!({"key": "x"})),
            1 => client.call("keys.verifyKey", json!({})),
            _ => client.call("keys.nothing", json!({})),
        };
        let id = answer.body["meta"]["requestId"].as_str().unwrap().to_owned();
        assert!(id.starts_with("req_") && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{id}");
        assert_eq!(answer.headers["x-request-id"], id);
        assert!(id > last, "{last} then {id}");
        last = id;
    }
}

#[test]
fn json_is_told_by_its_content_type() {
    let world = World::new();
    let post = |content_type: &str| world.admin.post("/v2/keys.verifyKey", content_type, r#"{"key":"x"}"#);
    for content_type in
        [JSON, "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json ;x=y"]
    {
        assert_eq!(post(content_type).status, 200, "{content_type}");
    }
    for content_type in
        ["", "text/plain", "text/json", "application/x-www-form-urlencoded", PROBLEM, "application/jsonp"]
    {
        let answer = post(content_type);
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["header.Content-Type"], "{content_type}");
        assert!(answer.body["error"]["errors"][0]["fix"].as_str().unwrap().contains(JSON));
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let world = World::new();
    for body in [
        "",
        " ",
        "{",
        "}",
        "null",
        "[]",
        "[{}]",
        "\"x\"",
        "1",
        "true",
        "{'key':'x'}",
        "{\"key\":\"x\",}",
        "{\"key\":\"x\"}{}",
        "\u{feff}{\"key\":\"x\"}",
        "{\"key\":\"x\"} trailing",
        "{\"key\":\"\u{1}\"}",
        "{\"key\":\"\\ud800\"}",
        "{key:1}",
        "NaN",
        "// c\n{\"key\":\"x\"}",
    ] {
        let answer = world.admin.post("/v2/keys.verifyKey", JSON, body);
        answer.refused(400, INVALID);
        assert_eq!(answer.locations(), ["body"], "{body:?}");
    }
    let answer = world.admin.post("/v2/keys.verifyKey", JSON, b"{\"key\":\"\xff\xfe\"}");
    assert_eq!(answer.refused(400, INVALID).locations(), ["body"]);
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let world = World::new();
    let api = world.api();
    for body in [
        format!(r#"{{"apiId":"{api}","enabled":false,"enabled":true}}"#),
        format!(r#"{{"apiId":"api_other","apiId":"{api}"}}"#),
        format!(r#"{{"apiId":"{api}","name":"one","name":"two"}}"#),
    ] {
        let answer = world.admin.post("/v2/keys.createKey", JSON, body);
        answer.refused(400, INVALID);
        assert!(!answer.locations().is_empty());
    }
    assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api})), json!([]));
}

#[test]
fn deep_nesting_is_refused_and_crashes_nothing() {
    let world = World::new();
    let api = world.api();
    let nested =
        |depth: usize| format!(r#"{{"apiId":"{api}","meta":{{"a":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(world.admin.post("/v2/keys.createKey", JSON, nested(100)).status, 200);
    for body in [nested(1_000), nested(1_000_000), "[".repeat(1_000_000), "{\"a\":".repeat(500_000)] {
        world.admin.post("/v2/keys.createKey", JSON, body).refused(400, INVALID);
    }
    assert_eq!(world.verdict("x"), "NOT_FOUND");
}

#[test]
fn every_violation_is_listed_where_it_stands() {
    let world = World::new();
    let body =
        json!({"prefix": "", "name": 7, "byteLength": 15, "meta": [], "expires": -1, "surplus": 1, "APIID": "x"});
    let answer = world.admin.call("keys.createKey", body);
    answer.refused(400, INVALID);
    let mut locations = answer.locations();
    locations.sort_unstable();
    locations.dedup();
    let expected = [
        "body.APIID",
        "body.apiId",
        "body.byteLength",
        "body.expires",
        "body.meta",
        "body.name",
        "body.prefix",
        "body.surplus",
    ];
    assert_eq!(locations, expected);
    assert!(answer.detail().starts_with("POST /v2/keys.createKey"), "{}", answer.detail());
    let missing =
        answer.body["error"]["errors"].as_array().unwrap().iter().find(|error| error["location"] == "body.apiId");
    assert!(missing.unwrap()["fix"].as_str().unwrap().contains("apiId"));

    let answer = world.admin.call("keys.verifyKey", json!({"key": "x", "keyspaces": ["api_1", "", "a-b", 3]}));
    let mut locations = answer.refused(400, INVALID).locations();
    locations.sort_unstable();
    locations.dedup();
    assert_eq!(locations, ["body.keyspaces[1]", "body.keyspaces[2]", "body.keyspaces[3]"]);
}

#[test]
fn an_answer_to_a_flood_of_faults_is_bounded() {
    let world = World::new();
    let fields: serde_json::Map<_, _> = (0..5_000).map(|n| (format!("surplus{n}"), json!(n))).collect();
    let answer = world.admin.call("keys.verifyKey", Value::Object(fields));
    answer.refused(400, INVALID);
    assert!(answer.locations().len() <= 100 && answer.text.len() < 64 << 10, "{}", answer.text.len());
}

/// The largest body that is read, made of nothing but faults, costs neither much time nor a large answer.
#[test]
fn a_body_full_of_faults_is_refused_in_reasonable_time() {
    let world = World::new();
    let many = 3_300_000;
    for body in [
        format!("{{\"key\":\"x\",\"keyspaces\":[\"\"{}]}}", ",\"\"".repeat(many)),
        format!("{{\"key\":\"x\",\"keyspaces\":[\"\\u0000\"{}]}}", ",\"\\u0000\"".repeat(many / 3)),
        format!("{{\"key\":\"x\"{}}}", (0..800_000).map(|n| format!(",\"{n:06}\":1")).collect::<String>()),
        format!("{{\"{}\":1}}", "n".repeat(9_000_000)),
        format!("{{\"key\":\"{}\"}}", "k".repeat(9_000_000)),
    ] {
        let begun = std::time::Instant::now();
        let answer = world.admin.post("/v2/keys.verifyKey", JSON, &body);
        answer.refused(400, INVALID);
        assert!(begun.elapsed().as_secs() < 10, "{} bytes took {:?}", body.len(), begun.elapsed());
        assert!(answer.text.len() < 64 << 10, "{}", answer.text.len());
    }
}

/// A name may be shown, a value never: it may be the secret that was put into the wrong field.
#[test]
fn no_error_echoes_what_was_sent() {
    const CANARY: &str = "canary4vQ8secret";
    let world = World::new();
    let stranger = world.anonymous().bearer(CANARY);
    let no_echo = |client: &Client, operation: &str, body: String| {
        let answer = client.post(&format!("/v2/{operation}"), JSON, &body);
        assert!(answer.status == 200 || !answer.text.contains(CANARY), "{operation} {body}: {}", answer.text);
        let headers = format!("{:?}", answer.headers);
        assert!(!headers.contains(CANARY), "{operation} {body}: {headers}");
    };
    for operation in OPERATIONS {
        let pointer =
            format!("/paths/~1v2~1{}/post/requestBody/content/application~1json/schema/properties", operation.name);
        let fields = document().pointer(&pointer).and_then(Value::as_object);
        for field in fields.into_iter().flat_map(|fields| fields.keys()) {
            for value in [
                json!([CANARY]),
                json!({"surplus": CANARY, "name": CANARY, "remaining": CANARY, "refill": {"interval": CANARY, "amount": CANARY}}),
                json!([{"name": format!("{CANARY}\0"), "limit": CANARY, "duration": CANARY, "autoApply": CANARY}]),
                json!([[CANARY, 1], {"a": CANARY}]),
                json!(CANARY.repeat(100)),
                json!(format!("{CANARY}\0")),
                json!(format!("-{CANARY}\"{CANARY}")),
                json!(CANARY),
            ] {
                // Ids are what the caller named; a refusal may name them too. Of permissions of root keys it says which
                // one there is not.
                let named = (field == "apiId" || field == "keyId") && value == json!(CANARY);
                if named || (operation.name.starts_with("rootKeys.") && field == "permissions") {
                    continue;
                }
                no_echo(&world.admin, operation.name, json!({field: value}).to_string());
                no_echo(&stranger, operation.name, json!({field: value}).to_string());
            }
        }
        no_echo(&world.admin, operation.name, json!({"surplus": CANARY, "key": {"deep": CANARY}}).to_string());
        for broken in [
            format!("\"{CANARY}\""),
            format!("[\"{CANARY}\"]"),
            CANARY.to_owned(),
            format!("{{\"key\":\"{CANARY}"),
            format!("{{\"key\":\"{CANARY}\" \"{CANARY}\"}}"),
            format!("{{\"key\":{CANARY}}}"),
            format!("{{\"key\":\"{CANARY}\",\"key\":\"{CANARY}\"}}"),
            format!("{{\"key\":\"{CANARY}\\x\"}}"),
        ] {
            no_echo(&world.admin, operation.name, broken.clone());
            no_echo(&stranger, operation.name, broken);
        }
    }
    let answer = world.admin.post("/v2/keys.verifyKey", &format!("text/{CANARY}"), "{}");
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
    let answer = world.anonymous().header("authorization", CANARY).call("keys.verifyKey", json!({}));
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
    let answer = world.admin.get(&format!("/v2/{CANARY}?key={CANARY}"));
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
}

#[test]
fn only_errors_of_the_request_itself_list_violations() {
    let world = World::new();
    let api = world.api_with(json!({"deleteProtection": true}));
    let reader = world.root_key(&["api.*.read_key"]);
    for (client, operation, body, status) in [
        (&world.admin, "keys.getKey", json!({}), 400),
        (&world.anonymous(), "keys.getKey", json!({}), 401),
        (&reader, "keys.createKey", json!({"apiId": api}), 403),
        (&reader, "keys.getKey", json!({"keyId": "key_that_never_was"}), 404),
        (&world.admin, "apis.deleteApi", json!({"apiId": api}), 412),
    ] {
        let answer = client.call(operation, body);
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.body["error"]["status"], status);
        assert_eq!(answer.body["error"]["errors"].is_array(), status == 400, "{}", answer.text);
        assert!(answer.body.get("data").is_none());
    }
}

async fn panics(_call: Call, request: Value) -> Result<Reply<Empty>> {
    assert!(request["search"] != "panic", "a fault with a secret in it");
    Ok(Reply::new(Empty {}))
}

/// The real route, middleware and authentication around a handler that panics.
static PANICKING: Operation = Operation {
    name: "apis.listApis",
    needs: &[Action::ReadApi],
    also: &[],
    patience: 1,
    reads: true,
    serve: || rpc(panics),
};

#[test]
fn a_panic_is_a_500_in_the_envelope_and_the_server_lives_on() {
    let world = World::new();
    let app = Arc::clone(&world.server.app);
    let contract = Contract::compile(docs::openapi_yaml()).unwrap();
    let state = web::Data::new(State::new(app, contract));
    actix_web::rt::System::new().block_on(async move {
        let resource = web::resource("/v2/apis.listApis").app_data(&PANICKING).route((PANICKING.serve)());
        let routes = actix_web::App::new()
            .app_data(state)
            .wrap(actix_web::middleware::from_fn(observe))
            .service(resource)
            .configure(http::mount);
        let running = service::init_service(routes).await;
        for (search, status) in [("calm", 200), ("panic", 500), ("panic", 500), ("calm", 200)] {
            let request = service::TestRequest::post()
                .uri("/v2/apis.listApis")
                .insert_header(("authorization", format!("Bearer {}", world.admin.root_key())))
                .insert_header(("accept", "*/*"))
                .set_json(json!({"search": search}))
                .to_request();
            let response = service::call_service(&running, request).await;
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().get("content-type").unwrap(), JSON, "faults are always plain JSON");
            let id = response.headers().get("x-request-id").unwrap().to_str().unwrap().to_owned();
            let body: Value = service::read_body_json(response).await;
            assert_eq!(body["meta"]["requestId"], json!(id));
            if status == 500 {
                let kind = body["error"]["type"].as_str().unwrap();
                assert!(kind.ends_with("/unkey/application/unexpected_error"), "{kind}");
                assert!(!body.to_string().contains("secret"), "{body}");
                assert!(body["error"].get("errors").is_none());
            }
        }
    });
}
