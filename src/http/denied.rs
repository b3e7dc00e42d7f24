//! Denied calls on their way into records, and the credentials that a request carries beside the one that counts.

use crate::domain::decisions::class::RootKeyClass;
use crate::domain::decisions::record::Stranger;
use crate::http::bearer;
use crate::http::operations::Operation;
use crate::http::state::State;
use crate::http::state::Trace;
use crate::model::error::Error;
use crate::model::origin::Ignored;
use crate::store::cache::Authenticated;
use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::http::header::HeaderName;
use std::net::IpAddr;
use std::sync::Arc;

/// The header that is taken for a credential elsewhere.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Query parameters that are taken for credentials elsewhere.
const PARAMETERS: [(&str, &str); 3] = [("key", "query.key"), ("api_key", "query.api_key"), ("token", "query.token")];

/// Notes a call that failed, if it failed because its root key was refused.
pub fn note(
    state: &State,
    http: &HttpRequest,
    operation: &'static Operation,
    address: Option<IpAddr>,
    root_key: Option<&Arc<Authenticated>>,
    error: &Error,
) {
    let Some(refusal) = error.refusal.as_deref() else { return };
    let (app, lack) = (&state.app, error.lack.as_deref());
    let stranger = if root_key.is_none() { bearer::text(http.headers()).ok().map(Stranger::of) } else { None };
    let user_agent = http.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    app.denials.root_key(&RootKeyClass {
        at: app.clock.now(),
        request: &Trace::of(http).request_id,
        operation: operation.name,
        audited: operation.is_audited(lack),
        code: error.code,
        refusal: *refusal,
        lack,
        root_key,
        stranger: stranger.as_ref(),
        address,
        user_agent,
        ignored: ignored(http),
        cache: &app.cache,
        tell_strangers_apart: true,
    });
}

/// Credentials beside the bearer: none of them counts.
pub fn ignored(http: &HttpRequest) -> Ignored {
    let (headers, query) = (http.headers(), http.query_string());
    let mut found = Ignored::default();
    if headers.contains_key(header::COOKIE) {
        found = found.and("cookie");
    }
    if headers.contains_key(API_KEY) {
        found = found.and("header.x-api-key");
    }
    if !query.is_empty() {
        let names = query.split('&').filter_map(|parameter| parameter.split('=').next());
        for (_, word) in names.flat_map(|name| PARAMETERS.iter().filter(move |(known, _)| *known == name)) {
            found = found.and(word);
        }
    }
    found
}
