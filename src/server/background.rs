//! What runs beside the requests: writing what was gathered, sweeping, signs of life. Each task ends in order.

use crate::app::App;
use crate::domain::audit_log;
use crate::domain::audit_log::retention::Retention;
use crate::domain::counters;
use crate::domain::usage::Upkeep;
use crate::limiter::Limiter;
use crate::limiter::memory::Memory;
use crate::model::error::Result;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio::time::timeout;

/// How often gathered uses and counters are written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How often the server says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often heartbeats are sent until the first one is heard.
const FIRST_HEARTBEATS: Duration = Duration::from_millis(20);
/// How often worthless counters are deleted from the database, in flushes.
const DELETE_EVERY: u64 = 10;
/// Pause before counters are loaded again.
const LOAD_AGAIN: Duration = Duration::from_millis(500);
/// How long serving waits for counters to be loaded. Then it begins without: it lives, is not ready, and the limiter is closed.
const LOADING: Duration = Duration::from_secs(1);
/// Longest time that the end waits for each of the tasks.
const LAST: Duration = Duration::from_secs(1);
/// Longest time that the end waits for all events to be written, as long as each batch is in time.
const LAST_EVENTS: Duration = Duration::from_secs(10);
/// Longest time that the end waits for one batch of them, which may be large.
const LAST_BATCH: Duration = Duration::from_secs(3);
/// How often it is looked whether partitions have to be made and old numbers to go.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether rows of the audit log wait to be sealed.
const SEAL_EVERY: Duration = Duration::from_millis(250);
/// The same for counters: all of them count.
const LAST_COUNTERS: Duration = Duration::from_secs(5);

/// The running tasks.
#[derive(Debug)]
pub(super) struct Background {
    stop: watch::Sender<bool>,
    uses: JoinHandle<()>,
    events: JoinHandle<()>,
    denials: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    sealer: JoinHandle<()>,
    counters: JoinHandle<()>,
    nodes: JoinHandle<()>,
    heart: JoinHandle<()>,
}

/// Whether the end was announced.
#[derive(Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits for a while, or until the end is announced; whether it was.
    async fn after(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = sleep(time) => false,
            _ = self.0.wait_for(|stop| *stop) => true,
        }
    }
}

/// Starts the tasks; returns when counters are loaded, or cannot be for now.
pub(super) async fn start(app: &Arc<App>) -> Background {
    let (stop, stopped) = watch::channel(false);
    let stopped = Stop(stopped);
    let (loaded, mut wait) = watch::channel(false);
    let background = Background {
        stop,
        uses: actix_web::rt::spawn(write_uses(Arc::clone(app), stopped.clone())),
        events: actix_web::rt::spawn(write_events(Arc::clone(app), stopped.clone())),
        denials: actix_web::rt::spawn(write_denials(Arc::clone(app), stopped.clone())),
        upkeep: actix_web::rt::spawn(maintain(Arc::clone(app), stopped.clone())),
        sealer: actix_web::rt::spawn(seal_audit_log(Arc::clone(app), stopped.clone())),
        counters: actix_web::rt::spawn(keep_counters(Arc::clone(app), stopped.clone(), loaded)),
        nodes: actix_web::rt::spawn(show_life(Arc::clone(app), stopped.clone())),
        heart: actix_web::rt::spawn(prove_hearing(Arc::clone(app), stopped)),
    };
    // A task that has ended is not waited for, either.
    let _ = timeout(LOADING, wait.wait_for(|loaded| *loaded)).await;
    background
}

impl Background {
    /// Writes what was gathered, and ends the tasks.
    pub(super) async fn end(self) {
        self.stop.send_replace(true);
        let wait = async |what: &str, time, task: JoinHandle<()>| {
            if timeout(time, task).await.is_err() {
                tracing::warn!("{what} in time");
            }
        };
        tokio::join!(
            wait("the last uses of root keys were not written", LAST, self.uses),
            wait("the last verifications were not written", LAST_EVENTS + LAST, self.events),
            wait("the last denials were not recorded", LAST_EVENTS + LAST, self.denials),
            wait("the tables of usage were not maintained", LAST, self.upkeep),
            wait("the last rows of the audit log were not sealed", LAST, self.sealer),
            wait("the counters of rate limits were not written", LAST_COUNTERS, self.counters),
            wait("other servers were not told that this one has ended", LAST, self.nodes),
            wait("the last heartbeat was not sent", LAST, self.heart),
        );
    }
}

async fn write_uses(app: Arc<App>, mut stop: Stop) {
    let mut last = false;
    while !last {
        last = stop.after(FLUSH_EVERY).await;
        if let Err(error) = app.last_used.flush(&app.db).await {
            tracing::warn!(?error, "the last uses of root keys were not written");
        }
    }
}

async fn write_events(app: Arc<App>, mut stop: Stop) {
    loop {
        let last = tokio::select! {
            () = app.events.enough(FLUSH_EVERY) => false,
            last = stop.after(FLUSH_EVERY) => last,
        };
        if last {
            break;
        }
        // Whoever could not write is not woken by what comes in.
        if !write_batch(&app).await && stop.after(FLUSH_EVERY).await {
            break;
        }
    }
    let left = app.events.finish(&app.db, LAST_BATCH, LAST_EVENTS - LAST_BATCH).await;
    if left > 0 {
        tracing::warn!(left, "events of verifications were lost: they were not written in time");
    }
}

async fn write_denials(app: Arc<App>, mut stop: Stop) {
    while !stop.after(FLUSH_EVERY).await {
        if let Err(error) = app.denials.flush(&app.db).await {
            let waiting = app.denials.waiting();
            tracing::warn!(?error, cause = ?error.source, waiting, "denials were not recorded yet");
        }
    }
    let left = app.denials.finish(&app.db, LAST, LAST_EVENTS).await;
    if left > 0 {
        tracing::warn!(left, "denials were lost: they were not recorded in time");
    }
}

/// Whether it worked.
async fn write_batch(app: &App) -> bool {
    let written = app.events.flush(&app.db).await;
    if let Err(error) = &written {
        tracing::warn!(?error, cause = ?error.source, waiting = app.events.waiting(), "events were not written yet");
    }
    written.is_ok()
}

async fn maintain(app: Arc<App>, mut stop: Stop) {
    let mut upkeep = Upkeep::new(app.settings.retention());
    let mut audit_log = Retention::new(app.settings.audit_retention_days());
    loop {
        if let Err(error) = upkeep.run_if_due(&app.db).await {
            tracing::warn!(?error, cause = ?error.source, "the tables of usage were not maintained");
        }
        if let Err(error) = audit_log.run_if_due(&app.db).await {
            tracing::warn!(?error, cause = ?error.source, "old rows of the audit log were not dropped");
        }
        if stop.after(MAINTAIN_EVERY).await {
            return;
        }
    }
}

/// Seals the audit log, and a last time when all requests have ended.
async fn seal_audit_log(app: Arc<App>, mut stop: Stop) {
    let (mut last, mut failed) = (false, false);
    while !last {
        last = stop.after(SEAL_EVERY).await;
        match audit_log::seal(&app.db).await {
            Ok(waiting) => {
                let age = waiting.since.map(|since| app.clock.now().signed_duration_since(since));
                app.metrics.audit_unsealed(waiting.rows, age.and_then(|age| age.to_std().ok()).unwrap_or_default());
                failed = false;
            }
            // Said once: the metric tells how it goes on.
            Err(error) if !failed => {
                tracing::warn!(?error, cause = ?error.source, "the audit log was not sealed yet");
                failed = true;
            }
            Err(_) => (),
        }
    }
}

/// Proves again and again that changes are heard. A heartbeat that fails proves nothing: the proof grows old.
async fn prove_hearing(app: Arc<App>, mut stop: Stop) {
    loop {
        if let Err(error) = app.listener.beat(&app.data_plane).await {
            tracing::debug!(?error, "no heartbeat");
        }
        let next = if app.cache.staleness().is_some() { app.listener.every() } else { FIRST_HEARTBEATS };
        if stop.after(next).await {
            return;
        }
    }
}

async fn show_life(app: Arc<App>, mut stop: Stop) {
    let mut count = 0;
    loop {
        // Readiness says that the database is away; this need not.
        if let Err(error) = app.nodes.beat(&app.db, count).await {
            tracing::debug!(?error, "the sign of life was not written");
        }
        app.metrics.nodes(app.nodes.others().saturating_add(1), app.nodes.are_uncoordinated());
        count += 1;
        if stop.after(BEAT_EVERY).await {
            break;
        }
    }
    if let Err(error) = app.nodes.leave(&app.db).await {
        tracing::debug!(?error, "other servers were not told that this one has ended");
    }
}

async fn keep_counters(app: Arc<App>, mut stop: Stop, loaded: watch::Sender<bool>) {
    let memory = match app.limiter.as_ref() {
        Limiter::Memory(memory) => Some(memory),
        Limiter::Redis(_) => None,
    };
    if let Some(memory) = memory
        && !load(&app, memory, &mut stop).await
    {
        return;
    }
    loaded.send_replace(true);
    let mut count = 1_u64;
    loop {
        let last = stop.after(FLUSH_EVERY).await;
        if let Some(memory) = memory {
            memory.sweep(counters::milliseconds(app.clock.now()));
            say("the counters of rate limits were not written", counters::flush(memory, &app.db)).await;
            if count.is_multiple_of(DELETE_EVERY) && !last {
                say("worthless counters of rate limits were not deleted", counters::delete_worthless(&app.db)).await;
            }
        }
        app.metrics.limiter(&app.limiter.state());
        count += 1;
        if last {
            return;
        }
    }
}

/// Loads until it has worked; false when the end came first. Never starts with forgotten counters.
async fn load(app: &App, memory: &Memory, stop: &mut Stop) -> bool {
    let mut tries = 0_u64;
    loop {
        match counters::load(memory, &app.db).await {
            Ok(0) => return true,
            Ok(count) => {
                tracing::info!(count, "counters of rate limits loaded");
                return true;
            }
            Err(error) if tries == 0 => {
                tracing::warn!(
                    ?error,
                    "the counters of rate limits cannot be loaded yet: what is limited is answered 503 until they are"
                );
            }
            Err(_) => (),
        }
        tries += 1;
        if stop.after(LOAD_AGAIN).await {
            return false;
        }
    }
}

async fn say(what: &str, work: impl Future<Output = Result<()>>) {
    if let Err(error) = work.await {
        tracing::warn!(?error, "{what}");
    }
}
