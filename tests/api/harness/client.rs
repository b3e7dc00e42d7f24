//! The client: every answer it gets is checked against `openapi.yaml`, status, media type and body.

use jsonschema::Validator;
use serde_json::Value;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::time::Duration;
use ureq::Agent;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_yaml_ng::from_str(include_str!("../../../openapi.yaml")).unwrap());

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .max_idle_connections_per_host(64);
    config.build().into()
});

/// The parsed contract.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// Somebody who calls one server with one root key, or none.
#[derive(Clone)]
pub struct Client {
    base: String,
    bearer: Option<String>,
    headers: Vec<(String, String)>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The JSON body, or null.
    pub body: Value,
    /// The body as it came.
    pub text: String,
}

impl Client {
    /// A client without a root key.
    pub fn new(base: impl Into<String>) -> Self {
        Self { base: base.into(), bearer: None, headers: Vec::new() }
    }

    /// The same with a root key.
    pub fn bearer(mut self, root_key: impl Into<String>) -> Self {
        self.bearer = Some(root_key.into());
        self
    }

    /// The same with a further header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The root key.
    pub fn root_key(&self) -> &str {
        self.bearer.as_deref().unwrap()
    }

    /// Calls an operation under `/v2/` with a JSON body.
    pub fn call(&self, operation: &str, body: Value) -> Answer {
        self.post(&format!("/v2/{operation}"), "application/json", body.to_string())
    }

    /// Calls an operation that must succeed; returns its `data`.
    pub fn ok(&self, operation: &str, body: Value) -> Value {
        let answer = self.call(operation, body);
        assert_eq!(answer.status, 200, "{operation}: {}", answer.text);
        answer.body["data"].clone()
    }

    /// Calls an operation of a server that may die meanwhile: `None` if no answer came.
    pub fn attempt(&self, operation: &str, body: Value) -> Option<Answer> {
        self.try_post(&format!("/v2/{operation}"), "application/json", body.to_string()).ok()
    }

    /// Posts any body to any path.
    pub fn post(&self, path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        self.try_post(path, content_type, body).unwrap()
    }

    fn try_post(&self, path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Result<Answer, ureq::Error> {
        let mut request = AGENT.post(format!("{}{path}", self.base));
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Self::checked("post", path, request.send(body.as_ref())?)
    }

    /// Gets any path.
    pub fn get(&self, path: &str) -> Answer {
        let mut request = AGENT.get(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Self::checked("get", path, request.call().unwrap()).unwrap()
    }

    fn checked(
        method: &str,
        path: &str,
        mut response: ureq::http::Response<ureq::Body>,
    ) -> Result<Answer, ureq::Error> {
        let status = response.status().as_u16();
        let headers: HashMap<String, String> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { status, headers, body, text };
        answer.check(method, path);
        Ok(answer)
    }
}

impl Answer {
    /// The stable end of `error.type`, empty for a success.
    pub fn code(&self) -> &str {
        let kind = self.body["error"]["type"].as_str().unwrap_or_default();
        kind.strip_prefix("https://unkey.com/docs/api-reference/errors-v2/").unwrap_or(kind)
    }

    /// `error.detail`.
    pub fn detail(&self) -> &str {
        self.body["error"]["detail"].as_str().unwrap_or_default()
    }

    /// `data`.
    pub fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// Asserts status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self
    }

    /// The places of all violations.
    pub fn locations(&self) -> Vec<&str> {
        let errors = self.body["error"]["errors"].as_array();
        errors.into_iter().flatten().filter_map(|error| error["location"].as_str()).collect()
    }

    /// What the answer is apart from what differs between any two requests.
    pub fn without_request_id(&self) -> Value {
        let mut body = self.body.clone();
        body["meta"]["requestId"] = Value::Null;
        if body["error"]["decision"].is_string() {
            body["error"]["decision"] = Value::Null;
        }
        body
    }

    /// Checks the answer against the contract.
    fn check(&self, method: &str, path: &str) {
        let documented = path.split('?').next().unwrap().replacen("/v1/", "/v2/", 1);
        let documented = if documented.starts_with("/docs/api-reference/errors-v2/") {
            "/docs/api-reference/errors-v2/{system}/{category}/{code}".to_owned()
        } else {
            documented
        };
        let content_type =
            self.headers.get("content-type").map_or("", String::as_str).split(';').next().unwrap().trim();
        let validator = validator(&documented, method, self.status, content_type).unwrap_or_else(|gap| {
            panic!("{method} {path} answered {} {content_type}: {gap}\n{}", self.status, self.text)
        });
        if content_type.ends_with("json")
            && let Some(validator) = validator
        {
            let faults: Vec<_> =
                validator.iter_errors(&self.body).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(faults.is_empty(), "{method} {path} {}: {faults:#?}\n{}", self.status, self.text);
        }
        if path.starts_with("/v") && path.len() > 3 && self.body["meta"].is_object() {
            assert_eq!(self.headers.get("x-request-id").map(String::as_str), self.body["meta"]["requestId"].as_str());
        }
    }
}

type Found = Result<Option<Arc<Validator>>, String>;

/// The schema of an answer, compiled once; `Err` says what the contract does not have.
fn validator(path: &str, method: &str, status: u16, content_type: &str) -> Found {
    static COMPILED: LazyLock<Mutex<HashMap<String, Found>>> = LazyLock::new(Mutex::default);
    let name = format!("{method} {path} {status} {content_type}");
    if let Some(found) = COMPILED.lock().unwrap().get(&name) {
        return found.clone();
    }
    let found = compile(path, method, status, content_type);
    COMPILED.lock().unwrap().insert(name, found.clone());
    found
}

fn compile(path: &str, method: &str, status: u16, content_type: &str) -> Found {
    let item = &DOCUMENT["paths"][path];
    let response = if item.is_null() {
        &DOCUMENT["x-fallback-responses"]["unknownPath"]
    } else if item[method].is_null() {
        &DOCUMENT["x-fallback-responses"]["wrongMethod"]
    } else {
        &item[method]["responses"][status.to_string()]
    };
    let response = match response["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => response,
    };
    if response.is_null() {
        return Err("the status is not documented".to_owned());
    }
    let Some(content) = response["content"].as_object() else { return Ok(None) };
    let media = content.get(content_type).ok_or("the media type is not documented")?;
    let Some(schema) = media["schema"].as_object() else { return Ok(None) };
    let mut schema = json!(schema);
    schema["components"] = DOCUMENT["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
    Ok(Some(Arc::new(validator)))
}
