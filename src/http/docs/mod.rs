//! The documentation that the server serves about itself: error pages, API reference, OpenAPI file. It asks for no root key.

mod accept;
mod document;
mod errors;
mod layout;
mod reference;
mod spec;

#[cfg(test)]
mod tests;

pub use spec::openapi_json;
pub use spec::openapi_yaml;

use crate::http::rpc;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::Resource;
use actix_web::guard;
use actix_web::web;
use std::future::ready;

/// Adds every route of the documentation. They answer GET and HEAD; any other method is a 405 with `Allow`.
pub fn mount(cfg: &mut web::ServiceConfig) {
    cfg.service(read("/openapi.yaml", spec::yaml))
        .service(read("/openapi.json", spec::json))
        .service(read("/docs", reference::page))
        .service(read("/docs/", reference::page))
        .service(read("/docs/assets/{name}", reference::asset))
        .service(read("/docs/api-reference/errors-v2", errors::index))
        .service(read("/docs/api-reference/errors-v2/", errors::index))
        .service(read("/docs/api-reference/errors-v2/{path:.+}", errors::page));
}

/// A resource that can be read and nothing else.
fn read(pattern: &str, answer: fn(&HttpRequest) -> HttpResponse) -> Resource {
    let reading = guard::Any(guard::Get()).or(guard::Head());
    web::resource(pattern)
        .route(web::route().guard(reading).to(move |request: HttpRequest| ready(answer(&request))))
        .default_service(web::to(|http| rpc::method_not_allowed(http, "GET, HEAD")))
}
