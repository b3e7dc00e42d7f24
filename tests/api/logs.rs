//! What the server logs, and what it never does.

use crate::harness::Client;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::postgres;
use crate::harness::raw;
use crate::harness::server::Options;
use keyward::model::master_key::MasterKeys;
use serde_json::Value;
use serde_json::json;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;

const CANARY: &str = "canary7Hq2secret";

/// The real program, with everything that it wrote so far.
struct Program {
    child: Child,
    written: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    fn start(database: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--log", "trace", "--log-format", "json"])
            .env("DATABASE_URL", database)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let readers = streams
            .into_iter()
            .map(|stream| {
                let written = Arc::clone(&written);
                std::thread::spawn(move || {
                    for line in BufReader::new(stream).lines().map_while(std::io::Result::ok) {
                        let mut written = written.lock().unwrap();
                        written.push_str(&line);
                        written.push('\n');
                    }
                })
            })
            .collect();
        Self { child, written, readers }
    }

    fn written(&self) -> String {
        self.written.lock().unwrap().clone()
    }

    /// The log lines with this message.
    fn lines(&self, message: &str) -> Vec<Value> {
        let lines = self.written();
        lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["message"] == message)
            .collect()
    }

    fn url(&self) -> String {
        let address = eventually("the server's address", || {
            self.lines("serving").first().map(|line| line["address"].as_str().unwrap().to_owned())
        });
        format!("http://{address}")
    }

    /// The one line of a request.
    fn request(&self, id: &str) -> Value {
        let found = eventually("the request's log line", || {
            let lines = self.lines("request");
            let found: Vec<_> = lines.into_iter().filter(|line| line["request_id"] == id).collect();
            (!found.is_empty()).then_some(found)
        });
        assert_eq!(found.len(), 1, "one line a request: {found:#?}");
        found.into_iter().next().unwrap()
    }

    /// Tells it to stop, and returns everything that it ever wrote.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.written()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request_id(answer: &crate::harness::Answer) -> String {
    answer.headers["x-request-id"].clone()
}

#[test]
fn no_secret_is_ever_written() {
    let database = postgres::fresh_database();
    let master_key = MasterKeys::generate_entry().unwrap();
    let server = Options::default().database(&database).master_keys(MasterKeys::parse(&master_key).unwrap()).start();
    let world = World::on(&server);
    let bootstrap = format!("{CANARY}-bootstrap-root-key");
    let program =
        Program::start(&database, &[("KEYWARD_MASTER_KEY", &master_key), ("KEYWARD_BOOTSTRAP_ROOT_KEY", &bootstrap)]);
    let url = program.url();
    let admin = Client::new(&url).bearer(world.admin.root_key());
    let operator = Client::new(&url).bearer(&bootstrap);
    let stranger = Client::new(&url).bearer(format!("{CANARY}unknown"));
    let mut secrets =
        vec![CANARY.to_owned(), world.admin.root_key().to_owned(), master_key.split_once(':').unwrap().1.to_owned()];

    // Successes, of the workspace's root key and of the bootstrap root key.
    let api = world.api_with(json!({"recoverable": true}));
    operator.ok("apis.createApi", json!({"name": format!("{CANARY} name")}));
    let made = admin.ok(
        "keys.createKey",
        json!({"apiId": api, "name": CANARY, "meta": {CANARY: CANARY}, "recoverable": true, "prefix": "sk"}),
    );
    let (id, plaintext) = (made["keyId"].clone(), made["key"].as_str().unwrap().to_owned());
    secrets.push(plaintext.clone());
    assert_eq!(admin.ok("keys.verifyKey", json!({"key": plaintext}))["code"], "VALID");
    assert_eq!(admin.ok("keys.getKey", json!({"keyId": id, "decrypt": true}))["plaintext"], json!(plaintext));
    admin.ok("keys.whoami", json!({"key": plaintext}));
    admin.ok("keys.updateKey", json!({"keyId": id, "name": format!("{CANARY} two"), "meta": {"token": CANARY}}));
    let rerolled = admin.ok("keys.rerollKey", json!({"keyId": id, "expiration": 0, "surplus": CANARY}));
    secrets.push(rerolled["key"].as_str().unwrap().to_owned());
    admin.ok("keys.verifyKey", json!({"key": format!("{CANARY}-no-such-key")}));
    admin.ok("keys.deleteKey", json!({"keyId": id, "permanent": true}));

    // Refusals of every kind.
    for client in [&admin, &operator, &stranger, &Client::new(&url)] {
        let client = client.clone().header("x-canary", CANARY).header("cookie", &format!("session={CANARY}"));
        let client =
            client.header("user-agent", CANARY).header("x-forwarded-for", CANARY).header("traceparent", CANARY);
        client.call("keys.verifyKey", json!({"key": {"deep": CANARY}}));
        client.call("keys.verifyKey", json!({"key": CANARY.repeat(100), "surplus": CANARY}));
        client.call("keys.whoami", json!({"key": CANARY}));
        client.call("keys.createKey", json!({"apiId": "api_1", "name": [CANARY]}));
        client.post("/v2/keys.verifyKey", "application/json", format!("{{\"key\":\"{CANARY}"));
        client.post("/v2/keys.verifyKey", &format!("text/{CANARY}"), CANARY);
        client.post(&format!("/v2/{CANARY}?key={CANARY}"), "application/json", CANARY);
        client.post(&format!("/v2/keys.verifyKey?key={CANARY}"), "application/json", "{}");
        client.get(&format!("/docs/api-reference/errors-v2/{CANARY}"));
    }
    let scheme = Client::new(&url).header("authorization", &format!("Basic {CANARY}"));
    scheme.call("keys.verifyKey", json!({})).refused(400, "unkey/authentication/malformed");

    // Faults: the database says what was in the statement, if one lets it.
    postgres::execute(&database, "ALTER TABLE keys ADD CONSTRAINT never CHECK (name IS NULL) NOT VALID");
    let fault = admin.call("keys.createKey", json!({"apiId": api, "name": CANARY, "meta": {"token": CANARY}}));
    fault.refused(500, "unkey/application/unexpected_error");
    postgres::execute(&database, "DROP TABLE keys CASCADE");
    admin.call("keys.verifyKey", json!({"key": CANARY})).refused(500, "unkey/application/unexpected_error");
    admin.call("keys.whoami", json!({"key": plaintext})).refused(500, "unkey/application/unexpected_error");
    program.request(&request_id(&fault));

    let written = program.stop();
    assert!(written.lines().count() > 40, "{written}");
    for secret in &secrets {
        let lines: Vec<_> = written.lines().filter(|line| line.contains(secret.as_str())).collect();
        assert!(lines.is_empty(), "{secret}: {lines:#?}");
    }
}

#[test]
fn one_line_tells_what_a_request_was_and_how_it_ended() {
    let database = postgres::fresh_database();
    let server = Options::default().database(&database).start();
    let world = World::on(&server);
    let program = Program::start(&database, &[]);
    let url = program.url();
    let (root_key, local) = world.root_key_until(&["api.*.verify_key"], None);
    let verifier = Client::new(&url).bearer(local.root_key());
    for (answer, operation, status, code, by) in [
        (verifier.call("keys.verifyKey", json!({"key": "x"})), "keys.verifyKey", 200, "", root_key.as_str()),
        (
            verifier.call("keys.verifyKey", json!({})),
            "keys.verifyKey",
            400,
            "unkey/application/invalid_input",
            root_key.as_str(),
        ),
        (
            verifier.call("keys.createKey", json!({"apiId": "api_1"})),
            "keys.createKey",
            403,
            "unkey/authorization/insufficient_permissions",
            root_key.as_str(),
        ),
        (Client::new(&url).call("keys.getKey", json!({})), "keys.getKey", 401, "unkey/authentication/missing", ""),
        (verifier.call("keys.nothing", json!({})), "other", 404, "user/bad_request/unknown_operation", ""),
        (verifier.get("/health/ready"), "ready", 200, "", ""),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text);
        let line = program.request(&request_id(&answer));
        assert_eq!(line["operation"], operation, "{line}");
        assert_eq!(line["status"], status, "{line}");
        assert_eq!(line["code"], code, "{line}");
        assert_eq!(line["root_key"], by, "{line}");
        assert!(line["duration_us"].as_u64().is_some_and(|us| us < 30_000_000), "{line}");
        assert!(line["timestamp"].is_string() && line["level"] == "INFO", "{line}");
    }
    let written = program.stop();
    for line in written.lines().filter(|line| !line.starts_with("keyward ")) {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not JSON: {line}");
    }
}

#[test]
fn the_cause_of_a_fault_is_logged_once_with_its_request_id() {
    let database = postgres::fresh_database();
    let server = Options::default().database(&database).start();
    let world = World::on(&server);
    let program = Program::start(&database, &[]);
    let admin = Client::new(program.url()).bearer(world.admin.root_key());
    postgres::execute(&database, "DROP TABLE keys CASCADE");
    let answer = admin.call("keys.verifyKey", json!({"key": "x"}));
    answer.refused(500, "unkey/application/unexpected_error");
    assert!(!answer.text.contains("relation") && !answer.text.contains("keys\\\""), "{}", answer.text);
    assert!(answer.body["error"].get("errors").is_none());
    let id = request_id(&answer);
    program.request(&id);
    let causes: Vec<_> = program.lines("request failed").into_iter().filter(|line| line["request_id"] == *id).collect();
    assert_eq!(causes.len(), 1, "{causes:#?}");
    assert_eq!((&causes[0]["operation"], &causes[0]["level"]), (&json!("keys.verifyKey"), &json!("ERROR")));
    assert!(causes[0]["source"].as_str().unwrap().contains("keys"), "{causes:#?}");
    let mentions = program.written().lines().filter(|line| line.contains(&id)).count();
    assert_eq!(mentions, 2, "the cause and the request's own line");
    // A refusal has no cause to log.
    let refused = admin.call("keys.verifyKey", json!({}));
    program.request(&request_id(&refused));
    assert_eq!(program.written().lines().filter(|line| line.contains(&request_id(&refused))).count(), 1);
    program.stop();
}

#[test]
fn unreadable_bytes_are_refused_without_a_trace_of_them() {
    let database = postgres::fresh_database();
    let program = Program::start(&database, &[]);
    let address = program.url().replace("http://", "");
    for bytes in [format!("{CANARY}\r\n\r\n"), format!("GET /{CANARY} HTTP/1.1\r\n{CANARY}\r\n\r\n")] {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        std::io::Write::write_all(&mut stream, bytes.as_bytes()).unwrap();
        assert!(!raw::read_to_end(&mut stream).text.contains(CANARY));
    }
    let written = program.stop();
    assert!(!written.contains(CANARY), "{written}");
}

/// A password with characters that a URL does not take is the commonest mistake, and libpq quotes what it cannot read.
#[test]
fn a_setting_that_cannot_be_used_is_refused_without_being_quoted() {
    let usable = "postgres://u@127.0.0.1:1/db";
    let urls = [
        CANARY.to_owned(),
        format!("postgres://u:{CANARY}@127.0.0.1:1/db"),
        format!("postgres://u:a@{CANARY}@127.0.0.1:1/db"),
        format!("postgres://u:{CANARY}%zz@127.0.0.1:1/db"),
        format!("postgres://u:a?{CANARY}@127.0.0.1:1/db"),
        format!("postgres://u:{CANARY}/a@127.0.0.1:1/db"),
        format!("postgres://u:{CANARY}"),
        format!("host=127.0.0.1 port=1 password=a {CANARY}"),
        format!("host=127.0.0.1 port=1 password='{CANARY}"),
    ];
    let settings = urls.iter().map(|url| ("DATABASE_URL", url.as_str()));
    let (long, short) = (CANARY.repeat(50), format!("{CANARY} {CANARY}"));
    let ring = format!("a:{CANARY}");
    let others = [
        ("KEYWARD_MASTER_KEY", CANARY),
        ("KEYWARD_MASTER_KEY", ring.as_str()),
        ("KEYWARD_BOOTSTRAP_ROOT_KEY", CANARY),
        ("KEYWARD_BOOTSTRAP_ROOT_KEY", long.as_str()),
        ("KEYWARD_BOOTSTRAP_ROOT_KEY", short.as_str()),
    ];
    for (name, value) in settings.chain(others) {
        let output = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "trace"])
            .env("DATABASE_URL", usable)
            .env(name, value)
            .output()
            .unwrap();
        let written = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success(), "{name}={value}");
        assert!(!written.contains(CANARY), "{name}={value}: {written}");
        assert!(!written.is_empty());
    }
}
