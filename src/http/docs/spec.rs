//! `openapi.yaml` as it was compiled in, and the same as JSON.

use crate::http::docs::document::Document;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use std::sync::LazyLock;

static JSON: LazyLock<String> = LazyLock::new(|| {
    // A file that does not convert never leaves the build: a test reads it. `{}` is not OpenAPI, so every tool says so.
    serde_yaml_ng::from_str::<serde_json::Value>(openapi_yaml())
        .map_or_else(|_| "{}".to_owned(), |spec| spec.to_string())
});

static YAML_DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new("application/yaml", openapi_yaml()));
static JSON_DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::new("application/json", openapi_json()));

/// The contract, as written.
#[must_use]
pub fn openapi_yaml() -> &'static str {
    include_str!("../../../openapi.yaml")
}

/// The contract as JSON on one line, in the order of the file. Converted at the first call.
#[must_use]
pub fn openapi_json() -> &'static str {
    &JSON
}

pub(super) fn yaml(request: &HttpRequest) -> HttpResponse {
    YAML_DOCUMENT.answer(request)
}

pub(super) fn json(request: &HttpRequest) -> HttpResponse {
    JSON_DOCUMENT.answer(request)
}
