//! The edge: sizes, times, credentials, failed authentications, requests per root key.

use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::fixtures::operate;
use crate::harness::raw;
use crate::harness::raw::RawAnswer;
use crate::harness::server::Options;
use chrono::Duration;
use keyward::domain::workspaces;
use keyward::model::workspace::LimitChanges;
use serde_json::Value;
use serde_json::json;
use std::io::Read;
use std::io::Write;

const TOO_LARGE: &str = "user/bad_request/request_body_too_large";
const HEADER_TOO_LARGE: &str = "user/bad_request/request_header_too_large";
const UNREADABLE: &str = "user/bad_request/request_body_unreadable";
const TIMEOUT: &str = "user/bad_request/request_timeout";
const MISSING: &str = "unkey/authentication/missing";
const MALFORMED: &str = "unkey/authentication/malformed";
const UNKNOWN: &str = "unkey/authentication/key_not_found";
const TOO_MANY_FAILURES: &str = "user/too_many_requests/authentication_rate_limited";
const TOO_MANY_REQUESTS: &str = "user/too_many_requests/workspace_rate_limited";

fn bearer(client: &Client) -> String {
    format!("Authorization: Bearer {}", client.root_key())
}

/// A body of exactly so many bytes that `verifyKey` takes.
fn body_of(bytes: usize) -> String {
    let body = r#"{"key":"unknown"}"#;
    format!("{body}{}", " ".repeat(bytes - body.len()))
}

fn chunked(world: &World<'_>, chunks: &str) -> RawAnswer {
    let request = format!(
        "POST /v2/keys.verifyKey HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\n{}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
        bearer(&world.admin)
    );
    raw::exchange(world.server, request)
}

fn number(headers: &std::collections::HashMap<String, String>, name: &str) -> u64 {
    headers.get(name).unwrap_or_else(|| panic!("no {name} in {headers:?}")).parse().unwrap()
}

fn set_requests_per_minute(world: &World<'_>, limit: Option<i32>) {
    let limits = LimitChanges { requests_per_minute: Some(limit), ..LimitChanges::default() };
    operate(world.server, |tx| workspaces::set_limits(tx, &world.name, &limits));
}

#[test]
fn a_body_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let server = Options::default().flags("--max-body-bytes 2048").start();
    let world = World::on(&server);
    let post = |client: &Client, body: &str| client.post("/v2/keys.verifyKey", "application/json", body);
    assert_eq!(post(&world.admin, &body_of(2048)).data()["code"], "NOT_FOUND");
    let answer = post(&world.admin, &body_of(2049));
    answer.refused(413, TOO_LARGE);
    assert_eq!(answer.body["error"]["errors"], json!([]));
    // Size comes before everything: nobody is asked who they are.
    post(&world.anonymous(), &body_of(2049)).refused(413, TOO_LARGE);
    assert_eq!(post(&world.admin, &body_of(2048)).status, 200);
}

#[test]
fn a_chunked_body_is_measured_as_it_comes() {
    let server = Options::default().flags("--max-body-bytes 2048").start();
    let world = World::on(&server);
    let chunks = |bytes: usize| {
        let body = body_of(bytes);
        let (first, second) = body.split_at(1000);
        format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len())
    };
    assert_eq!(chunked(&world, &chunks(2048)).status, 200);
    chunked(&world, &chunks(2049)).refused(413, TOO_LARGE);
}

/// The answer does not wait for a body that would be refused anyway.
#[test]
fn a_body_that_is_declared_too_large_is_refused_unseen() {
    let server = Options::default().flags("--max-body-bytes 2048").start();
    let head = "POST /v2/keys.verifyKey HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\nContent-Length: 2049\r\n\r\n";
    raw::exchange(&server, head).refused(413, TOO_LARGE);
    let huge = head.replace("2049", "99999999999999");
    raw::exchange(&server, huge).refused(413, TOO_LARGE);
}

#[test]
fn a_header_past_the_limit_is_refused() {
    let server = Options::default().flags("--max-header-bytes 4096").start();
    let world = World::on(&server);
    let call = |bytes: usize| {
        world.admin.clone().header("x-long", &"x".repeat(bytes)).call("keys.verifyKey", json!({"key": "unknown"}))
    };
    assert_eq!(call(3000).status, 200);
    let answer = call(4096);
    answer.refused(431, HEADER_TOO_LARGE);
    assert!(answer.body["error"].get("errors").is_none());
    // Many small lines are one large header too.
    let lines: Vec<_> = (0..90).map(|n| format!("X-{n}: {}", "x".repeat(50))).collect();
    raw::exchange(&server, raw::post("keys.verifyKey", &lines, "{}")).refused(431, HEADER_TOO_LARGE);
    assert_eq!(call(3000).status, 200);
}

/// Larger than the HTTP library ever reads: refused by it, without the envelope, and the server lives on.
#[test]
fn an_endless_header_does_no_harm() {
    let server = Server::shared();
    let endless = format!("GET /health/live HTTP/1.1\r\nHost: keyward\r\nX-Endless: {}", "x".repeat(300_000));
    let answer = raw::exchange(server, endless);
    assert!([0, 400, 431].contains(&answer.status), "{answer:?}");
    assert_eq!(World::new().anonymous().get("/health/live").status, 200);
}

/// The HTTP library counts lines before there is a request: refused by it, without the envelope.
#[test]
fn a_header_of_too_many_lines_is_refused() {
    let server = Server::shared();
    let lines: Vec<_> = (0..200).map(|n| format!("X-{n}: x")).collect();
    let answer = raw::exchange(server, raw::post("keys.verifyKey", &lines, "{}"));
    assert_eq!(answer.status, 431, "{answer:?}");
}

/// What is left of a refused body is no further request.
#[test]
fn a_refused_body_smuggles_nothing() {
    let server = Options::default().flags("--max-body-bytes 1024").start();
    let inner = "GET /metrics HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\n\r\n";
    let body = inner.repeat(200);
    let request =
        format!("POST /v2/keys.verifyKey HTTP/1.1\r\nHost: keyward\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = raw::connect(&server);
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(!text.contains("keyward_requests_total"), "{text}");
}

/// curl asks before it sends a large body.
#[test]
fn a_client_that_asks_before_it_sends_its_body_is_told_to() {
    let world = World::new();
    let mut stream = raw::connect(world.server);
    let request =
        raw::post("keys.verifyKey", &[bearer(&world.admin), "Expect: 100-continue".to_owned()], &body_of(2000));
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    let mut told = [0_u8; 64];
    let bytes = stream.read(&mut told).unwrap();
    assert!(told[..bytes].starts_with(b"HTTP/1.1 100 "), "{:?}", String::from_utf8_lossy(&told[..bytes]));
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(raw::read_to_end(&mut stream).status, 200);
}

#[test]
fn a_body_that_trickles_is_given_up() {
    let server = Options::default().flags("--read-timeout-ms 300").start();
    let world = World::on(&server);
    let mut stream = raw::connect(&server);
    let request = raw::post("keys.verifyKey", &[bearer(&world.admin)], &body_of(100));
    let (sent, _rest) = request.split_at(request.len() - 60);
    stream.write_all(sent.as_bytes()).unwrap();
    let answer = raw::read_to_end(&mut stream);
    answer.refused(408, TIMEOUT);
    assert_eq!(answer.body["error"]["errors"], json!([]));
}

/// The HTTP library answers before there is a request: a bare 408, or nothing, and the connection ends.
#[test]
fn a_header_that_trickles_is_given_up() {
    let server = Options::default().flags("--read-timeout-ms 1000").start();
    let mut stream = raw::connect(&server);
    stream.write_all(b"POST /v2/keys.verifyKey HTTP/1.1\r\nHost: key").unwrap();
    let answer = raw::read_to_end(&mut stream);
    assert!([0, 408].contains(&answer.status), "{answer:?}");
    assert_eq!(Client::new(server.url()).get("/health/live").status, 200);
}

#[test]
fn a_request_that_takes_too_long_is_given_up() {
    let server = Options::default().flags("--request-timeout-ms 300 --database-timeout-ms 10000").start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    // Somebody else holds the row: an update has to wait.
    let hold = format!("SELECT id, pg_sleep(1.5)::text AS slept FROM keys WHERE id = '{}' FOR UPDATE", key.id);
    std::thread::scope(|scope| {
        scope.spawn(|| world.execute(&hold));
        let slow = crate::harness::eventually("a request that waits for the row", || {
            let answer = world.admin.call("keys.updateKey", json!({"keyId": key.id, "name": "late"}));
            (answer.status != 200).then_some(answer)
        });
        slow.refused(408, TIMEOUT);
        assert_eq!(slow.body["error"]["errors"], json!([]));
        assert_eq!(world.verdict(&key.plaintext), "VALID", "the server goes on serving");
    });
}

#[test]
fn a_body_in_malformed_chunks_is_unreadable() {
    let world = World::new();
    for chunks in ["ZZ\r\n{}\r\n0\r\n\r\n", "5\r\n{\"key", "2\r\n{}GARBAGE", "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"] {
        let mut stream = raw::connect(world.server);
        let request = format!(
            "POST /v2/keys.verifyKey HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\n{}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            bearer(&world.admin)
        );
        stream.write_all(request.as_bytes()).unwrap();
        // No more will come.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = raw::read_to_end(&mut stream);
        assert_ne!(answer.status / 100, 2, "{chunks:?}: {answer:?}");
        assert_ne!(answer.status / 100, 5, "{chunks:?}: {answer:?}");
        if answer.status != 0 {
            answer.refused(400, UNREADABLE);
            assert_eq!(answer.body["error"]["errors"], json!([]));
        }
    }
    chunked(&world, "ZZ\r\n{}\r\n0\r\n\r\n").refused(400, UNREADABLE);
}

#[test]
fn the_credential_is_one_bearer_in_any_letter_case() {
    let world = World::new();
    let key = world.admin.root_key();
    for header in [
        format!("Authorization: bearer {key}"),
        format!("authorization: BEARER {key}"),
        format!("AUTHORIZATION:   Bearer    {key}  "),
    ] {
        let answer = raw::exchange(world.server, raw::post("keys.verifyKey", &[header], r#"{"key":"unknown"}"#));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn all_else_does_not_authenticate() {
    let world = World::new();
    let key = world.admin.root_key();
    let basic = "Basic a2V5d2FyZDprZXl3YXJk".to_owned();
    for (headers, status, code) in [
        (vec![], 401, MISSING),
        (vec!["Authorization:".to_owned()], 401, MISSING),
        (vec!["Authorization:    ".to_owned()], 401, MISSING),
        (vec![format!("Cookie: Authorization=Bearer {key}; root_key={key}")], 401, MISSING),
        (vec![format!("X-Api-Key: {key}"), format!("Proxy-Authorization: Bearer {key}")], 401, MISSING),
        (vec![format!("Authorization: {key}")], 400, MALFORMED),
        (vec![format!("Authorization: {basic}")], 400, MALFORMED),
        (vec![format!("Authorization: Token {key}")], 400, MALFORMED),
        (vec!["Authorization: Bearer".to_owned()], 400, MALFORMED),
        (vec![format!("Authorization: Bearer {key} {key}")], 400, MALFORMED),
        (vec![format!("Authorization: Bearer {key}"), format!("Authorization: Bearer {key}")], 400, MALFORMED),
        (vec![format!("Authorization: Bearer {key}"), format!("Authorization: {basic}")], 400, MALFORMED),
        (vec![format!("Authorization: Bearer {key}, Bearer {key}")], 400, MALFORMED),
        (vec![format!("Authorization: Bearer {}", key.to_lowercase())], 401, UNKNOWN),
        (vec![format!("Authorization: Bearer {key}x")], 401, UNKNOWN),
    ] {
        let answer = raw::exchange(world.server, raw::post("keys.verifyKey", &headers, r#"{"key":"unknown"}"#));
        answer.refused(status, code);
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{answer:?}");
        assert_eq!(answer.body["error"]["errors"].is_array(), status == 400);
        assert!(!answer.text.contains(key), "{}", answer.text);
    }
    let mut request = raw::post("keys.verifyKey", &["Authorization: Bearer ?".to_owned()], "{}").into_bytes();
    let place = request.iter().position(|byte| *byte == b'?').unwrap();
    request[place] = 0xff;
    raw::exchange(world.server, request).refused(400, MALFORMED);
    for query in [format!("?key={key}"), format!("?access_token={key}&Authorization=Bearer+{key}")] {
        let path = format!("/v2/keys.verifyKey{query}");
        let answer = world.anonymous().post(&path, "application/json", r#"{"key":"unknown"}"#);
        answer.refused(401, MISSING);
    }
}

#[test]
fn who_is_nobody_learns_nothing_about_the_body() {
    let world = World::new();
    let stranger = world.anonymous().bearer("keyward_root_unknown");
    for (content_type, body) in [("application/json", "{"), ("text/plain", "x"), ("", ""), ("application/json", "[]")] {
        stranger.post("/v2/keys.createKey", content_type, body).refused(401, UNKNOWN);
        world.anonymous().post("/v2/keys.createKey", content_type, body).refused(401, MISSING);
        let known = world.root_key::<&str>(&[]).post("/v2/keys.createKey", content_type, body);
        known.refused(400, "unkey/application/invalid_input");
    }
}

#[test]
fn an_address_that_keeps_failing_is_told_to_wait_and_valid_calls_go_on() {
    let server = Options::default().flags("--auth-failures-per-minute 3").start();
    let world = World::on(&server);
    let fail = || world.anonymous().bearer("unknown").call("keys.verifyKey", json!({"key": "x"}));
    for _ in 0..3 {
        fail().refused(401, UNKNOWN);
        assert_eq!(world.verdict("unknown"), "NOT_FOUND");
    }
    let refused = fail();
    refused.refused(429, TOO_MANY_FAILURES);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let wait = number(&refused.headers, "retry-after");
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(refused.headers["ratelimit-policy"].contains("failed-authentications"), "{:?}", refused.headers);
    for _ in 0..10 {
        assert_eq!(world.verdict("unknown"), "NOT_FOUND", "a valid root key is served from the same address");
    }
    // Every kind of failure counts.
    world.anonymous().call("keys.verifyKey", json!({})).refused(429, TOO_MANY_FAILURES);
    let malformed = world.anonymous().header("authorization", "Basic eDp5").call("keys.verifyKey", json!({}));
    malformed.refused(429, TOO_MANY_FAILURES);

    server.clock.advance(Duration::seconds(i64::try_from(wait).unwrap()));
    fail().refused(401, UNKNOWN);
    fail().refused(429, TOO_MANY_FAILURES);
    server.clock.advance(Duration::minutes(1));
    for _ in 0..3 {
        fail().refused(401, UNKNOWN);
    }
    fail().refused(429, TOO_MANY_FAILURES);
}

#[test]
fn another_address_does_not_suffer_for_it() {
    let server = Options::default().flags("--auth-failures-per-minute 2 --trusted-proxies 127.0.0.1").start();
    let from = |address: &str| {
        Client::new(server.url()).header("x-forwarded-for", address).bearer("unknown").call("keys.verifyKey", json!({}))
    };
    for _ in 0..2 {
        from("198.51.100.1").refused(401, UNKNOWN);
    }
    from("198.51.100.1").refused(429, TOO_MANY_FAILURES);
    from("203.0.113.9, 198.51.100.1").refused(429, TOO_MANY_FAILURES);
    from("198.51.100.2").refused(401, UNKNOWN);
    from("2001:db8::1").refused(401, UNKNOWN);
    from("2001:db8::2").refused(401, UNKNOWN);
    from("2001:db8::3").refused(429, TOO_MANY_FAILURES);
}

#[test]
fn failures_are_not_limited_when_the_limit_is_0() {
    let server = Options::default().flags("--auth-failures-per-minute 0").start();
    let client = Client::new(server.url()).bearer("unknown");
    for _ in 0..80 {
        client.call("keys.verifyKey", json!({})).refused(401, UNKNOWN);
    }
}

#[test]
fn a_root_key_makes_its_requests_and_no_more() {
    let server = Options::default().start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let other = world.root_key(&["api.*.verify_key"]);
    let verify = |client: &Client| client.call("keys.verifyKey", json!({"key": key.plaintext}));
    assert!(!verify(&world.admin).headers.keys().any(|name| name.starts_with("ratelimit")), "unlimited says nothing");

    set_requests_per_minute(&world, Some(3));
    for remaining in [2, 1, 0] {
        let answer = verify(&world.admin);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(number(&answer.headers, "ratelimit-limit"), 3);
        assert_eq!(number(&answer.headers, "ratelimit-remaining"), remaining);
        assert!((1..=60).contains(&number(&answer.headers, "ratelimit-reset")));
        assert!(!answer.headers.contains_key("retry-after"));
    }
    let refused = verify(&world.admin);
    refused.refused(429, TOO_MANY_REQUESTS);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(number(&refused.headers, "ratelimit-remaining"), 0);
    let wait = number(&refused.headers, "retry-after");
    assert!((1..=20).contains(&wait), "{wait}");

    assert_eq!(number(&verify(&other).headers, "ratelimit-remaining"), 2, "another root key has its own");
    let stranger = World::on(&server);
    assert_eq!(stranger.admin.call("keys.verifyKey", json!({"key": "x"})).status, 200);

    server.clock.advance(Duration::seconds(i64::try_from(wait).unwrap()));
    assert_eq!(verify(&world.admin).status, 200);
    verify(&world.admin).refused(429, TOO_MANY_REQUESTS);

    set_requests_per_minute(&world, None);
    let answer = verify(&world.admin);
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("ratelimit-limit"));
}

#[test]
fn every_authenticated_answer_tells_the_allowance() {
    let server = Options::default().start();
    let world = World::on(&server);
    let reader = world.root_key(&["api.*.read_api"]);
    set_requests_per_minute(&world, Some(1000));
    for (client, operation, body, status) in [
        (&world.admin, "apis.createApi", json!({"name": "one"}), 200),
        (&world.admin, "apis.createApi", json!({"name": ""}), 400),
        (&reader, "apis.createApi", json!({"name": "one"}), 403),
        (&reader, "apis.getApi", json!({"apiId": "api_that_never_was"}), 404),
    ] {
        let answer = client.call(operation, body);
        assert_eq!(answer.status, status, "{}", answer.text);
        for name in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
            number(&answer.headers, name);
        }
    }
    let answer = world.anonymous().bearer("unknown").call("apis.createApi", json!({}));
    assert!(!answer.headers.keys().any(|name| name.starts_with("ratelimit")), "{:?}", answer.headers);
}

#[test]
fn an_allowance_of_0_refuses_all() {
    let server = Options::default().start();
    let world = World::on(&server);
    set_requests_per_minute(&world, Some(0));
    for body in [json!({"key": "x"}), json!({"nonsense": true})] {
        let answer = world.admin.call("keys.verifyKey", body);
        answer.refused(429, TOO_MANY_REQUESTS);
        number(&answer.headers, "retry-after");
    }
    server.clock.advance(Duration::hours(1));
    world.admin.call("keys.verifyKey", json!({"key": "x"})).refused(429, TOO_MANY_REQUESTS);
}

#[test]
fn connections_above_the_limit_wait_and_are_served() {
    let server = Options::default().flags("--max-connections 2").start();
    let ask = "GET /health/live HTTP/1.1\r\nHost: keyward\r\n\r\n";
    let mut answer = [0_u8; 1024];
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = raw::connect(&server);
        stream.write_all(ask.as_bytes()).unwrap();
        assert!(stream.read(&mut answer).unwrap() > 0);
        held.push(stream);
    }
    let mut third = raw::connect(&server);
    third.write_all(ask.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    third.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    assert!(third.read(&mut answer).is_err(), "it waits");
    third.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    drop(held);
    assert_eq!(raw::read_to_end(&mut third).status, 200);

    let request = "GET /health/live HTTP/1.1\r\nHost: keyward\r\nConnection: close\r\n\r\n";
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..12).map(|_| scope.spawn(|| raw::exchange(&server, request).status)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 12]);
}

#[test]
fn bytes_that_are_no_http_do_no_harm() {
    let server = Server::shared();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = raw::connect(server);
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = raw::read_to_end(&mut stream);
        assert!(answer.status < 500 && answer.status / 100 != 2, "{answer:?}");
    }
    let smuggled = format!(
        "POST /v2/keys.verifyKey HTTP/1.1\r\nHost: k\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{}",
        "GET /metrics HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n"
    );
    let mut stream = raw::connect(server);
    stream.write_all(smuggled.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = raw::read_to_end(&mut stream);
    assert!(answer.status / 100 != 2 && !answer.text.contains("keyward_requests_total"), "{answer:?}");
    assert_eq!(Client::new(server.url()).get("/health/live").body, json!({"status": "ok"}));
    assert_eq!(Client::new(server.url()).get("/v2/liveness").body["data"]["message"], Value::from("OK"));
}
