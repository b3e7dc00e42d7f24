//! What monitoring asks: liveness, readiness, metrics, version.

use crate::app::App;
use crate::http::call::Reply;
use crate::http::envelope;
use crate::http::rpc;
use crate::http::state::State;
use crate::http::state::Trace;
use crate::limiter::Limiter;
use crate::model::error::Error;
use crate::store::migrations;
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::Route;
use actix_web::guard;
use actix_web::http::header;
use actix_web::web;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Mounts the probes.
pub fn mount(config: &mut web::ServiceConfig) {
    let mut probe = |paths: &[&str], route: Route| {
        let refuse = web::to(|http| rpc::method_not_allowed(http, "GET, HEAD"));
        config.service(web::resource(paths.to_vec()).route(route).default_service(refuse));
    };
    probe(&["/v2/liveness", "/v1/liveness"], get().to(liveness));
    probe(&["/health/live"], get().to(live));
    probe(&["/health/ready"], get().to(ready));
    probe(&["/metrics"], get().to(metrics));
    probe(&["/version"], get().to(version));
}

/// GET and HEAD; actix leaves the body of a HEAD's answer out.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

#[derive(Serialize)]
struct Liveness {
    message: &'static str,
}

async fn liveness(http: HttpRequest) -> HttpResponse {
    Trace::note(&http, |trace| trace.operation = "liveness");
    match envelope::success(&Trace::of(&http).request_id, &Reply::new(Liveness { message: "OK" })) {
        Ok(body) => HttpResponse::Ok().content_type("application/json").body(body),
        Err(fault) => rpc::refuse(&http, &Error::unexpected(fault)),
    }
}

async fn live(http: HttpRequest) -> HttpResponse {
    Trace::note(&http, |trace| trace.operation = "live");
    HttpResponse::Ok().json(BTreeMap::from([("status", "ok")]))
}

async fn version(http: HttpRequest) -> HttpResponse {
    Trace::note(&http, |trace| trace.operation = "version");
    HttpResponse::Ok().json(BTreeMap::from([("version", VERSION)]))
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    checks: BTreeMap<&'static str, Check>,
}

#[derive(Serialize)]
struct Check {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Check {
    fn passed() -> Self {
        Self { status: "ok", detail: None }
    }

    fn warning(detail: impl Into<String>) -> Self {
        Self { status: "warning", detail: Some(detail.into()) }
    }

    fn failed(detail: impl Into<String>) -> Self {
        Self { status: "failed", detail: Some(detail.into()) }
    }
}

async fn ready(http: HttpRequest, state: web::Data<State>) -> HttpResponse {
    Trace::note(&http, |trace| trace.operation = "ready");
    let (database, migrated) = match state.app.db.ask(migrations::pending_in).await {
        Ok(pending) if pending.is_empty() => (Check::passed(), Check::passed()),
        Ok(pending) => {
            (Check::passed(), Check::failed(format!("pending: {}; run `keyward migrate`", pending.join(", "))))
        }
        Err(_) => (Check::failed("The database does not answer."), Check::failed("The database does not answer.")),
    };
    let serving = if state.app.is_draining() { Check::failed("The server is about to stop.") } else { Check::passed() };
    let checks = BTreeMap::from([
        ("changes", changes(&state.app)),
        ("database", database),
        ("limiter", limiter(&state.app)),
        ("migrations", migrated),
        ("serving", serving),
    ]);
    if checks.values().all(|check| check.status != "failed") {
        HttpResponse::Ok().json(Readiness { status: "ok", checks })
    } else {
        HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, 1))
            .json(Readiness { status: "unavailable", checks })
    }
}

/// A server that hears of no changes asks the database each time: slower, and as right as ever.
fn changes(app: &App) -> Check {
    let staleness = app.cache.staleness();
    if app.cache.is_trusted() || app.settings.max_staleness.is_zero() {
        return Check::passed();
    }
    let since = staleness.map_or("since it has started".to_owned(), |time| format!("for {} ms", time.as_millis()));
    Check::warning(format!(
        "The server has heard of no changes {since}: what it remembers is not used, and each verification asks the database. \
         A pooler in transaction mode between them lets none through."
    ))
}

/// A Redis that is away is away for all nodes: taking this one out of service helps nobody, and what is not limited still works.
/// Counters that are not loaded yet are missing here alone.
fn limiter(app: &App) -> Check {
    match app.limiter.as_ref() {
        Limiter::Memory(memory) if !memory.is_open() => {
            Check::failed("The counters of rate limits from before the start are not loaded yet.")
        }
        Limiter::Memory(_) if app.nodes.are_uncoordinated() => Check::warning(format!(
            "{} other servers use this database, and each counts rate limits for itself: set KEYWARD_REDIS_URL on all of them.",
            app.nodes.others()
        )),
        Limiter::Memory(_) => Check::passed(),
        Limiter::Redis(redis) => redis.away().map_or_else(Check::passed, |reason| {
            Check::warning(format!(
                "Redis is away ({reason}). Until it is back, verifications of keys with rate limits are answered 503, and \
                 ratelimit.* as KEYWARD_RATELIMIT_ON_ERROR says."
            ))
        }),
    }
}

async fn metrics(http: HttpRequest, state: web::Data<State>) -> HttpResponse {
    Trace::note(&http, |trace| trace.operation = "metrics");
    let pool = state.app.db.pool_state();
    state.app.metrics.pool(pool.connections, pool.idle);
    for (user, count) in state.app.hanging() {
        state.app.metrics.hanging(user, count);
    }
    state.app.metrics.events_waiting(state.app.events.waiting());
    state.app.metrics.decisions_waiting(state.app.denials.waiting());
    state.app.metrics.cache(&state.app.cache.state());
    match state.app.metrics.encode() {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(fault) => rpc::refuse(&http, &Error::unexpected(fault)),
    }
}
