//! HTTP: routes, JSON shapes, the contract, the envelope, problem bodies. The only place that knows the wire.

pub mod analytics;
pub mod apis;
pub mod audit_logs;
pub mod bearer;
pub mod call;
pub mod client;
pub mod contract;
pub mod decisions;
pub mod denied;
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
pub mod within;
pub mod workspace;

use crate::http::operations::OPERATIONS;
use crate::http::operations::Operation;
use actix_web::web;

/// Operations that services call on every request they serve: theirs are the first paths that a request is compared with.
const FIRST: [&str; 3] = ["keys.verifyKey", "ratelimit.limit", "ratelimit.multiLimit"];

/// Mounts everything that Keyward serves.
pub fn mount(config: &mut web::ServiceConfig) {
    let is_first = |operation: &&Operation| FIRST.contains(&operation.name);
    let first = OPERATIONS.iter().filter(is_first);
    let others = OPERATIONS.iter().filter(|operation| !is_first(operation));
    // One plain path a resource: actix compares those as text, and several of one resource by regular expressions, one
    // resource after the other, which took as long as all else that a warm verification does.
    for version in ["v2", "v1"] {
        for operation in first.clone().chain(others.clone()) {
            config.service(
                web::resource(format!("/{version}/{}", operation.name))
                    .app_data(operation)
                    .route((operation.serve)())
                    .default_service(web::to(|http| rpc::method_not_allowed(http, "POST"))),
            );
        }
    }
    probes::mount(config);
    docs::mount(config);
    config.default_service(web::to(rpc::unknown_operation));
}
