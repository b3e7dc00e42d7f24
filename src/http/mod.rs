//! HTTP: routes, JSON shapes, the contract, the envelope, problem bodies. The only place that knows the wire.

pub mod apis;
pub mod bearer;
pub mod call;
pub mod client;
pub mod contract;
pub mod docs;
pub mod envelope;
pub mod identities;
pub mod keys;
pub mod migrations;
pub mod observe;
pub mod operations;
pub mod patch;
pub mod permissions;
pub mod probes;
pub mod problem;
pub mod rate_limits;
pub mod ratelimit;
pub mod root_keys;
pub mod rpc;
pub mod state;
pub mod workspace;

use crate::http::operations::OPERATIONS;
use actix_web::web;

/// Mounts everything that Keyward serves.
pub fn mount(config: &mut web::ServiceConfig) {
    for operation in OPERATIONS {
        let paths = [format!("/v2/{}", operation.name), format!("/v1/{}", operation.name)];
        config.service(
            web::resource(paths)
                .app_data(operation)
                .route((operation.serve)())
                .default_service(web::to(|http| rpc::method_not_allowed(http, "POST"))),
        );
    }
    probes::mount(config);
    docs::mount(config);
    config.default_service(web::to(rpc::unknown_operation));
}
