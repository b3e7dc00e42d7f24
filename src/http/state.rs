//! What every request handler can reach: the process, the compiled contract, and what is known of the running request.

use crate::app::App;
use crate::http::contract::Contract;
use crate::http::operations::OPERATIONS;
use crate::limiter::edge::Allowance;
use crate::metrics::Served;
use crate::model::code::Code;
use crate::model::id::RequestId;
use crate::model::id::RootKeyId;
use actix_web::HttpMessage;
use actix_web::HttpRequest;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// The status of every success.
const OK: u16 = 200;

/// Shared by all requests.
#[derive(Debug)]
pub struct State {
    /// The process.
    pub app: Arc<App>,
    /// The request validators.
    pub contract: Contract,
    /// Base of `error.type`.
    pub error_docs_base: String,
    /// What is counted of each operation that was ever asked for, found once.
    pub served: HashMap<&'static str, OnceLock<Served>>,
}

impl State {
    /// What is shared by the requests of one process.
    #[must_use]
    pub fn new(app: Arc<App>, contract: Contract) -> Self {
        let error_docs_base = app.settings.error_docs_base();
        let served = OPERATIONS.iter().map(|operation| (operation.name, OnceLock::new())).collect();
        Self { app, contract, error_docs_base, served }
    }

    /// Counts an answered request. `code` is how it failed.
    pub fn count(&self, operation: &'static str, status: u16, code: Option<Code>, took: Duration) {
        let metrics = &self.app.metrics;
        match self.served.get(operation).filter(|_| status == OK && code.is_none()) {
            Some(served) => served.get_or_init(|| metrics.served(operation)).count(took),
            None => metrics.request(operation, status, code.map_or("", |code| code.row().path), took),
        }
    }
}

/// What is known of one request, for its answer, its log line and its metrics.
#[derive(Clone, Debug)]
pub struct Trace {
    /// `meta.requestId` and `X-Request-Id`.
    pub request_id: RequestId,
    /// The operation's name, or `other`.
    pub operation: &'static str,
    /// Who was authenticated.
    pub root_key: Option<RootKeyId>,
    /// What the root key's allowance says.
    pub allowance: Option<Allowance>,
    /// One of very many of its kind: the log need not name it.
    pub routine: bool,
    /// How it failed.
    pub code: Option<Code>,
    /// The trace that it is part of, from `traceparent` (W3C Trace Context).
    pub trace_id: Option<String>,
}

impl Trace {
    /// A request that has just begun.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            request_id: RequestId::generate(),
            operation: "other",
            root_key: None,
            allowance: None,
            routine: false,
            code: None,
            trace_id: None,
        }
    }

    /// What is known of this request.
    #[must_use]
    pub fn of(http: &HttpRequest) -> Self {
        http.extensions().get::<Self>().cloned().unwrap_or_else(Self::begin)
    }

    /// Looks at what is known of this request, without a copy.
    pub fn with<T>(http: &HttpRequest, look: impl FnOnce(&Self) -> T) -> T {
        match http.extensions().get::<Self>() {
            Some(trace) => look(trace),
            None => look(&Self::begin()),
        }
    }

    /// The id of this request.
    #[must_use]
    pub fn request_id(http: &HttpRequest) -> RequestId {
        Self::with(http, |trace| trace.request_id.clone())
    }

    /// What is known of a request that is over.
    #[must_use]
    pub fn take(http: &HttpRequest) -> Self {
        http.extensions_mut().remove::<Self>().unwrap_or_else(Self::begin)
    }

    /// Notes something about this request.
    pub fn note(http: &HttpRequest, note: impl FnOnce(&mut Self)) {
        if let Some(trace) = http.extensions_mut().get_mut::<Self>() {
            note(trace);
        }
    }
}
