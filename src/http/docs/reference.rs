//! `/docs`: Swagger UI over `/openapi.json`, every byte of it from this binary.

use crate::http::docs::document::Document;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::http::header::X_CONTENT_TYPE_OPTIONS;
use std::sync::LazyLock;

/// Swagger UI writes style attributes and shows its icons as `data:` images; scripts and connections stay on this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static PAGE: LazyLock<Document> = LazyLock::new(|| {
    Document::new("text/html; charset=utf-8", include_str!("reference.html")).with(CONTENT_SECURITY_POLICY, POLICY)
});

/// The files the page loads, and the licence that Swagger UI must travel with.
static ASSETS: LazyLock<[(&str, Document); 5]> = LazyLock::new(|| {
    let gzip = |content_type, bytes: &'static [u8]| Document::new(content_type, bytes).with(CONTENT_ENCODING, "gzip");
    let script = "text/javascript; charset=utf-8";
    let style = "text/css; charset=utf-8";
    [
        ("swagger-ui.js", gzip(script, include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.js.gz")))),
        ("swagger-ui.css", gzip(style, include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")))),
        ("LICENSE", gzip("text/plain; charset=utf-8", include_bytes!(concat!(env!("OUT_DIR"), "/LICENSE.gz")))),
        ("reference.js", Document::new(script, include_str!("reference.js"))),
        ("reference.css", Document::new(style, include_str!("reference.css"))),
    ]
});

pub(super) fn page(request: &HttpRequest) -> HttpResponse {
    PAGE.answer(request)
}

/// `/docs/assets/<name>`. Swagger UI is sent as gzip whatever `Accept-Encoding` says: every browser reads it, and keeping
/// a plain copy for the others would cost more than it gives.
pub(super) fn asset(request: &HttpRequest) -> HttpResponse {
    let name = request.match_info().get("name").unwrap_or_default();
    match ASSETS.iter().find(|(known, _)| *known == name) {
        Some((_, asset)) => asset.answer(request),
        None => HttpResponse::NotFound().insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff")).finish(),
    }
}
