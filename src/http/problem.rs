//! Error bodies and their headers. Nothing else builds one (common.md sections 1 and 9, decisions.md #2 to #9).

use crate::http::envelope::Meta;
use crate::http::state::Trace;
use crate::model::code::Code;
use crate::model::error::Error;
use crate::model::error::Violation;
use crate::model::id::RequestId;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::http::header::HeaderMap;
use serde::Serialize;

const REALM: &str = "Bearer realm=\"keyward\"";
/// A header longer than this helps nobody and may break a proxy on the way.
const MAX_HEADER: usize = 4096;
/// Unkey's SDK decodes the errors of this operation as problem+json only.
const ALWAYS_PROBLEM: &str = "identities.deleteIdentity";

#[derive(Serialize)]
struct Body<'a> {
    meta: Meta<'a>,
    error: Problem<'a>,
}

#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    detail: &'a str,
    status: u16,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Item<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<&'a [Vec<String>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a RequestId>,
}

#[derive(Serialize)]
struct Item<'a> {
    location: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
}

impl<'a> From<&'a Violation> for Item<'a> {
    fn from(violation: &'a Violation) -> Self {
        Self { location: &violation.location, message: &violation.message, fix: violation.fix.as_deref() }
    }
}

/// Builds the answer to a request that failed.
#[must_use]
pub fn response(error: &Error, trace: &Trace, docs_base: &str, accept: Option<&str>) -> HttpResponse {
    let row = error.code.row();
    let lack = error.lack.as_deref();
    let body = Body {
        meta: Meta { request_id: &trace.request_id },
        error: Problem {
            title: row.title,
            detail: &error.detail,
            status: row.status,
            r#type: format!("{docs_base}{}", row.path),
            errors: matches!(row.status, 400 | 408 | 413).then(|| error.violations.iter().map(Item::from).collect()),
            required: lack.map(|lack| lack.required.as_slice()),
            missing: lack.map(|lack| lack.missing.as_slice()),
            decision: (row.status == 403).then_some(&trace.request_id),
        },
    };
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(media_type(error, trace.operation, accept));
    if let Some(challenge) = challenge(error.code) {
        response.insert_header((header::WWW_AUTHENTICATE, challenge));
    }
    if let Some(accepted) = lack.map(|lack| accepted_permissions(&lack.required)).filter(|text| fits(text)) {
        response.insert_header(("X-Accepted-Permissions", accepted));
    }
    if let Some(seconds) = error.retry_after_s {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    // A body of strings and numbers always serialises.
    response.body(serde_json::to_vec(&body).unwrap_or_default())
}

/// The `Accept` header as one text.
#[must_use]
pub fn accept(headers: &HeaderMap) -> Option<String> {
    let values: Vec<_> = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Errors of the schema check and faults are always plain JSON, a 429 and all of one operation always problem+json, since
/// Unkey's SDK decodes them as nothing else; all others go by `Accept` (common.md section 1).
fn media_type(error: &Error, operation: &str, accept: Option<&str>) -> &'static str {
    const JSON: &str = "application/json";
    const PROBLEM: &str = "application/problem+json";
    if error.code.row().status == 429 || operation == ALWAYS_PROBLEM {
        return PROBLEM;
    }
    let of_the_schema_check = error.code == Code::InvalidInput && !error.violations.is_empty();
    if of_the_schema_check || error.code == Code::UnexpectedError {
        return JSON;
    }
    let accept = accept.unwrap_or_default().to_ascii_lowercase();
    let wanted = [PROBLEM, "application/*", "*/*"].iter().any(|media_type| accept.contains(media_type));
    if wanted { PROBLEM } else { JSON }
}

/// RFC 6750 section 3.
fn challenge(code: Code) -> Option<String> {
    let with = |error: &str| Some(format!("{REALM}, error=\"{error}\""));
    if code == Code::AuthenticationMissing {
        return Some(REALM.to_owned());
    }
    if code == Code::RootKeyNotFound {
        return with("invalid_token");
    }
    if code == Code::InsufficientPermissions { with("insufficient_scope") } else { None }
}

/// Alternatives separated by `; `, conjunctions by `, ` (decisions.md #5).
fn accepted_permissions(required: &[Vec<String>]) -> String {
    required.iter().map(|set| set.join(", ")).collect::<Vec<_>>().join("; ")
}

fn fits(text: &str) -> bool {
    text.len() <= MAX_HEADER && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::ALWAYS_PROBLEM;
    use super::media_type;
    use crate::model::code::Code;
    use crate::model::error::Error;

    #[test]
    fn the_media_type_is_negotiated_as_clients_expect() {
        let not_found = Error::new(Code::KeyNotFound, "");
        let json = "application/json";
        let problem = "application/problem+json";
        for (accept, expected) in [
            (None, json),
            (Some("application/json"), json),
            (Some("*/*"), problem),
            (Some("text/html, application/*;q=0.5"), problem),
            (Some("Application/Problem+JSON"), problem),
        ] {
            assert_eq!(media_type(&not_found, "keys.getKey", accept), expected, "{accept:?}");
            assert_eq!(media_type(&not_found, ALWAYS_PROBLEM, accept), problem, "{accept:?}");
        }
        let any = |error: &Error, operation: &str| media_type(error, operation, Some("*/*"));
        assert_eq!(any(&Error::invalid("body", "", None), "keys.getKey"), json);
        assert_eq!(any(&Error::unexpected("x"), "keys.getKey"), json);
        assert_eq!(any(&Error::invalid("body", "", None), ALWAYS_PROBLEM), problem);
        assert_eq!(any(&Error::unexpected("x"), ALWAYS_PROBLEM), problem);
        assert_eq!(media_type(&Error::new(Code::WorkspaceRateLimited, ""), "keys.getKey", Some(json)), problem);
    }
}
