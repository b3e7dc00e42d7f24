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

/// The header that names the trace that a request is part of.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header that names a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware.
///
/// # Errors
/// None: what fails further in is turned into its answer.
pub async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let begun = Instant::now();
    let trace_id = request.headers().get(TRACE_PARENT).and_then(|value| trace_id(value.to_str().ok()?));
    request.extensions_mut().insert(Trace { trace_id, ..Trace::begin() });
    let Some(state) = request.app_data::<web::Data<State>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let _in_flight = state.app.begin_request();
    let mut response = if header_bytes(request.headers()) > state.app.settings.max_header_bytes {
        let error = Error::new(
            Code::RequestHeaderTooLarge,
            format!("The request's header is larger than {} bytes.", state.app.settings.max_header_bytes),
        );
        Trace::note(request.request(), |trace| trace.code = Some(error.code));
        let accept = problem::accept(request.headers());
        let refusal =
            problem::response(&error, &Trace::of(request.request()), &state.error_docs_base, accept.as_deref());
        request.into_response(refusal)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    // The request is answered: nobody looks at it any more.
    let trace = Trace::take(response.request());
    add_headers(response.headers_mut(), &trace);
    if state.app.is_draining() {
        // A client that keeps its connection would keep the server from ending. actix ignores a header that says so.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    account(&state, &trace, &response, begun);
    Ok(response)
}

/// The trace id of a `traceparent`: `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`, neither id all zeros.
fn trace_id(traceparent: &str) -> Option<String> {
    let parts: Vec<_> = traceparent.trim().split('-').collect();
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let id = |text: &str, length: usize| hex(text, length) && text.bytes().any(|byte| byte != b'0');
    match parts.as_slice() {
        [version, trace, parent, flags, ..]
            if hex(version, 2) && *version != "ff" && id(trace, 32) && id(parent, 16) && hex(flags, 2) =>
        {
            Some((*trace).to_owned())
        }
        _ => None,
    }
}

/// Bytes of all header lines as they were sent: name, value, colon, blank and line end.
fn header_bytes(headers: &HeaderMap) -> u64 {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn add_headers(headers: &mut HeaderMap, trace: &Trace) {
    if let Ok(value) = HeaderValue::from_str(trace.request_id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    let mut add = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(allowance) = trace.allowance {
        let (limit, remaining, reset) = (allowance.limit, allowance.remaining, allowance.reset_s);
        // The three older ones of the contract, and the IETF's two beside them (draft-ietf-httpapi-ratelimit-headers).
        add("ratelimit-limit", limit.to_string());
        add("ratelimit-remaining", remaining.to_string());
        add("ratelimit-reset", reset.to_string());
        let policy = if trace.root_key.is_some() { "root-key" } else { "failed-authentications" };
        add("ratelimit-policy", format!("\"{policy}\";q={limit};w=60"));
        add("ratelimit", format!("\"{policy}\";r={remaining};t={reset}"));
    }
}

fn account(state: &State, trace: &Trace, response: &ServiceResponse, begun: Instant) {
    let took = begun.elapsed();
    let status = response.status().as_u16();
    state.count(trace.operation, status, trace.code, took);
    if trace.routine && !state.app.settings.log_verifications {
        return;
    }
    let code = trace.code.map_or("", |code| code.row().path);
    let root_key = trace.root_key.as_ref().map_or("", |id| id.as_str());
    tracing::info!(
        request_id = %trace.request_id,
        operation = trace.operation,
        status,
        code,
        root_key,
        trace_id = trace.trace_id.as_deref().unwrap_or_default(),
        duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn only_a_well_formed_traceparent_is_honoured() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{trace}-00f067aa0ba902b7-01")).as_deref(), Some(trace));
        for malformed in
            ["", "00", &format!("ff-{trace}-00f067aa0ba902b7-01"), &format!("00-{trace}-0000000000000000-01")]
        {
            assert_eq!(trace_id(malformed), None, "{malformed}");
        }
    }
}
