//! What every request handler can reach: the process, the compiled contract, and what is known of the running request.

use crate::app::App;
use crate::http::contract::Contract;
use crate::limiter::edge::Allowance;
use crate::model::code::Code;
use crate::model::id::RequestId;
use crate::model::id::RootKeyId;
use actix_web::HttpMessage;
use actix_web::HttpRequest;
use std::sync::Arc;

/// Shared by all requests.
#[derive(Debug)]
pub struct State {
    /// The process.
    pub app: Arc<App>,
    /// The request validators.
    pub contract: Contract,
    /// Base of `error.type`.
    pub error_docs_base: String,
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

    /// Notes something about this request.
    pub fn note(http: &HttpRequest, note: impl FnOnce(&mut Self)) {
        if let Some(trace) = http.extensions_mut().get_mut::<Self>() {
            note(trace);
        }
    }
}
