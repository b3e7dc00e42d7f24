//! Serving: workers, background tasks, the drain at the end.

mod background;

use crate::app::App;
use crate::http;
use crate::http::contract::Contract;
use crate::http::docs;
use crate::http::observe::observe;
use crate::http::state::State;
use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio::time::sleep;

/// Longest time that the end waits for the ledger, which has nothing to do then unless the drain was cut short.
const LAST_SPENDS: Duration = Duration::from_secs(1);
/// How long the server must have been idle before it ends: a client may have sent a request just before.
const QUIET: Duration = Duration::from_millis(100);
/// Threads of one worker that wait for the database at most: more than there are connections, those that hang included.
const BLOCKING_THREADS: usize = 1536;
/// How long a client's connection may idle between requests; longer than what load balancers keep theirs (60 s).
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves on a listener until `stop` resolves, then drains: not ready, each answer closes its connection, what is in
/// flight or still comes gets until the deadline. Must run inside actix' runtime.
///
/// # Errors
/// A broken contract or a listener that cannot be used.
pub async fn run(app: Arc<App>, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    keep_system();
    let settings = &app.settings;
    let contract = Contract::compile(docs::openapi_yaml()).map_err(io::Error::other)?;
    let state = web::Data::new(State::new(Arc::clone(&app), contract));
    let workers = match usize::from(settings.workers) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let connections = usize::try_from(settings.max_connections).unwrap_or(usize::MAX).div_ceil(workers);
    let read_timeout = Duration::from_millis(settings.read_timeout_ms);
    // Before the first request: a limit that had forgotten what was used would let it pass.
    let background = background::start(&app).await;
    let server = HttpServer::new(move || {
        actix_web::App::new().app_data(state.clone()).wrap(from_fn(observe)).configure(http::mount)
    })
    .workers(workers)
    .worker_max_blocking_threads(BLOCKING_THREADS)
    .max_connections(connections)
    .client_request_timeout(read_timeout)
    .client_disconnect_timeout(read_timeout)
    .keep_alive(KEEP_ALIVE)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    stop.await;
    drain(&app, &handle).await;
    app.ledger.stop(LAST_SPENDS).await;
    background.end().await;
    serving.await.map_err(io::Error::other)?
}

/// Keeps a handle of actix' runtime for ever. Otherwise the last one may be that of a worker's thread, which drops it when it has
/// already lost what dropping it needs; then the process aborts at its very end.
fn keep_system() {
    if let Some(system) = actix_web::rt::System::try_current() {
        std::mem::forget(system);
    }
}

async fn drain(app: &App, handle: &ServerHandle) {
    tracing::info!(in_flight = app.in_flight(), "draining");
    app.drain();
    let (begun, longest) = (Instant::now(), Duration::from_millis(app.settings.drain_timeout_ms));
    // Load balancers send new connections until they notice that the server is not ready. These are still served.
    if !quiet(app, begun + longest / 2).await {
        handle.pause().await;
        quiet(app, begun + longest).await;
    }
    let left = app.in_flight();
    if left > 0 {
        tracing::warn!(in_flight = left, "the deadline passed before all requests were answered");
    }
    handle.stop(false).await;
}

/// Waits until no request has come for a while; false when the deadline passed first.
async fn quiet(app: &App, deadline: Instant) -> bool {
    let (mut since, mut begun) = (Instant::now(), app.begun());
    while since.elapsed() < QUIET {
        if Instant::now() >= deadline {
            return false;
        }
        if app.in_flight() > 0 || app.begun() != begun {
            (since, begun) = (Instant::now(), app.begun());
        }
        sleep(Duration::from_millis(5)).await;
    }
    true
}
