//! Around every request: its id, the bound on its header, one log line, its metrics.

use crate::http::problem;
use crate::http::state::State;
use crate::http::state::Trace;
use crate::model::code::Code;
use crate::model::error::Error;
use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::ConnectionType;
use actix_web::http::header::HeaderMap;
use actix_web::http::header::HeaderName;
use actix_web::http::header::HeaderValue;
use actix_web::middleware::Next;
use actix_web::web;
use std::time::Instant;

/// The middleware.
///
/// # Errors
/// None: what fails further in is turned into its answer.
pub async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let begun = Instant::now();
    let trace = Trace::begin();
    request.extensions_mut().insert(trace.clone());
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let _in_flight = state.app.begin_request();
    let mut response = if header_bytes(request.headers()) > state.app.settings.max_header_bytes {
        let error = Error::new(
            Code::RequestHeaderTooLarge,
            format!("The request's header is larger than {} bytes.", state.app.settings.max_header_bytes),
        );
        request.extensions_mut().insert(Trace { code: Some(error.code), ..trace });
        let accept = problem::accept(request.headers());
        let refusal =
            problem::response(&error, &Trace::of(request.request()), &state.error_docs_base, accept.as_deref());
        request.into_response(refusal)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let trace = Trace::of(response.request());
    add_headers(response.headers_mut(), &trace);
    if state.app.is_draining() {
        // A client that keeps its connection would keep the server from ending. actix ignores a header that says so.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    account(&state, &trace, &response, begun);
    Ok(response)
}

/// Bytes of all header lines as they were sent: name, value, colon, blank and line end.
fn header_bytes(headers: &HeaderMap) -> u64 {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn add_headers(headers: &mut HeaderMap, trace: &Trace) {
    let mut add = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    add("x-request-id", trace.request_id.to_string());
    if let Some(allowance) = trace.allowance {
        let (limit, remaining, reset) = (allowance.limit, allowance.remaining, allowance.reset_s);
        // The three older ones of the contract, and the IETF's two beside them (draft-ietf-httpapi-ratelimit-headers).
        add("ratelimit-limit", limit.to_string());
        add("ratelimit-remaining", remaining.to_string());
        add("ratelimit-reset", reset.to_string());
        add("ratelimit-policy", format!("\"root-key\";q={limit};w=60"));
        add("ratelimit", format!("\"root-key\";r={remaining};t={reset}"));
    }
}

fn account(state: &State, trace: &Trace, response: &ServiceResponse, begun: Instant) {
    let took = begun.elapsed();
    let status = response.status().as_u16();
    let code = trace.code.map_or("", |code| code.row().path);
    state.app.metrics.request(trace.operation, status, code, took);
    let root_key = trace.root_key.as_ref().map_or("", |id| id.as_str());
    tracing::info!(
        request_id = %trace.request_id,
        operation = trace.operation,
        status,
        code,
        root_key,
        duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}
