//! Hears what other nodes changed: LISTEN on a connection of its own, and a heartbeat through the database that proves it.

use crate::model::change::Change;
use crate::store::cache::Cache;
use crate::store::cache::elapsed_ms;
use crate::store::changes::CHANNEL;
use crate::store::changes::HEARTBEATS;
use crate::store::database;
use crate::store::database::Db;
use crate::store::pulse::MAX_HANGING;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::pg::PgNotification;
use std::sync::Arc;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use std::time::Instant;

/// How often the connection is looked at. libpq's socket cannot be waited on through diesel; looking costs a system call.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Bounds of the time between two heartbeats.
const FASTEST: Duration = Duration::from_millis(50);
const SLOWEST: Duration = Duration::from_secs(1);
/// A busy machine may be late; whoever reconnects forgets everything.
const LEAST_PATIENCE: Duration = Duration::from_millis(500);
/// How long a lost connection rests before the next attempt.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);

/// Longest time that one attempt may take; then the next one is made.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(3);

/// The listening thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Listener {
    _stop: SyncSender<()>,
    /// Whose heartbeats prove this node's connection: no other node's name.
    node: String,
    every: Duration,
    attempts: Arc<()>,
}

impl Listener {
    /// Starts to listen. A heartbeat is due five times in `max_staleness`, but at least once a second.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(url: &str, cache: &Arc<Cache>, max_staleness: Duration) -> std::io::Result<Self> {
        // Without a bound nothing depends on them but the log.
        let every = if max_staleness.is_zero() { SLOWEST } else { (max_staleness / 5).clamp(FASTEST, SLOWEST) };
        let node = uuid::Uuid::now_v7().simple().to_string();
        let (stop, stopped) = mpsc::sync_channel(1);
        let (url, cache, attempts) = (url.to_owned(), Arc::clone(cache), Arc::default());
        let listening = Listening { url, cache, node: node.clone(), every, stopped, attempts: Arc::clone(&attempts) };
        std::thread::Builder::new().name("listener".to_owned()).spawn(move || listening.run())?;
        Ok(Self { _stop: stop, node, every, attempts })
    }

    /// How often [`Self::beat`] is due.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.every
    }

    /// How many attempts to listen were never answered, and hang. One that is being made counts as well.
    #[must_use]
    pub fn hanging(&self) -> usize {
        // This value holds one, and so does the thread.
        Arc::strong_count(&self.attempts).saturating_sub(2)
    }

    /// Sends one heartbeat, by another connection than the one that listens: what proves that connection must come to it
    /// from outside, as changes do.
    ///
    /// # Errors
    /// The database's.
    pub async fn beat(&self, db: &Db) -> crate::model::error::Result<()> {
        // Before it is sent: what was committed until then is delivered before it.
        let payload = format!("{} {}", self.node, elapsed_ms());
        db.ask(move |tx| Ok(crate::store::changes::beat(tx, &payload)?)).await
    }
}

struct Listening {
    url: String,
    cache: Arc<Cache>,
    node: String,
    every: Duration,
    stopped: Receiver<()>,
    /// Held by each attempt to subscribe that has not ended.
    attempts: Arc<()>,
}

fn subscribe(url: &str) -> Result<PgConnection, String> {
    let mut connection = database::connect(url)
        .map_err(|error| error.source.as_ref().map_or_else(|| error.detail.clone(), ToString::to_string))?;
    connection.batch_execute(&format!("LISTEN {CHANNEL}; LISTEN {HEARTBEATS}")).map_err(|error| error.to_string())?;
    Ok(connection)
}

impl Listening {
    fn run(&self) {
        // Of a silence is told when it begins and when it ends, not ten times a second for as long as it lasts.
        let mut told = false;
        loop {
            let mut heard = false;
            let lost = self.subscribe().and_then(|mut connection| self.listen(&mut connection, &mut heard));
            let Err(reason) = lost else { return };
            if heard || !told {
                tracing::warn!(reason, "changes cannot be heard; what is remembered is not used for long");
            }
            told = true;
            if self.is_stopped_within(RECONNECT_AFTER) {
                return;
            }
        }
    }

    /// Subscribes first and forgets everything then: what changes in between is heard.
    fn subscribe(&self) -> Result<PgConnection, String> {
        // Waits in a thread of its own: a peer that takes a query and never answers would hold it for ever, and libpq
        // bounds only the connecting.
        if Arc::strong_count(&self.attempts).saturating_sub(2) >= MAX_HANGING {
            return Err("too many attempts to listen were never answered".to_owned());
        }
        let (url, attempt) = (self.url.clone(), Arc::clone(&self.attempts));
        let (done, subscribed) = mpsc::sync_channel(1);
        let attempt = move || {
            // Whoever waited may have given up: then the connection ends here.
            let _ = done.send(subscribe(&url));
            drop(attempt);
        };
        std::thread::Builder::new().name("subscribe".to_owned()).spawn(attempt).map_err(|error| error.to_string())?;
        let connection = subscribed
            .recv_timeout(SUBSCRIBE_WITHIN)
            .map_err(|_silent| format!("no answer to LISTEN came for {} ms", SUBSCRIBE_WITHIN.as_millis()))??;
        self.cache.clear();
        Ok(connection)
    }

    /// Listens until the end, or until the connection is lost: then it says why.
    fn listen(&self, connection: &mut PgConnection, ever_heard: &mut bool) -> Result<(), String> {
        // Silence is a fault: heartbeats come all the time, unless the way to the database or back is cut.
        let (mut heard, patience) = (Instant::now(), self.every.saturating_mul(3).max(LEAST_PATIENCE));
        loop {
            for notification in connection.notifications_iter() {
                match notification {
                    Ok(notification) => {
                        if self.hear(&notification) {
                            heard = Instant::now();
                            if !*ever_heard {
                                tracing::info!("changes are heard");
                            }
                            *ever_heard = true;
                        }
                    }
                    Err(error) => return Err(error.to_string()),
                }
            }
            if heard.elapsed() > patience {
                return Err(format!("no heartbeat came for {} ms", patience.as_millis()));
            }
            if self.is_stopped_within(LOOK_EVERY) {
                return Ok(());
            }
        }
    }

    /// Says whether it was this node's own heartbeat.
    fn hear(&self, notification: &PgNotification) -> bool {
        if notification.channel == HEARTBEATS {
            let sent = notification.payload.split_once(' ').filter(|(node, _)| *node == self.node);
            let Some(sent_ms) = sent.and_then(|(_, ms)| ms.parse().ok()) else { return false };
            self.cache.prove(sent_ms);
            return true;
        }
        match serde_json::from_str::<Change>(&notification.payload) {
            Ok(change) => self.cache.changed(&change),
            // A newer node speaks of something that this one does not know: it may be anything.
            Err(_unknown) => self.cache.clear(),
        }
        false
    }

    fn is_stopped_within(&self, wait: Duration) -> bool {
        match self.stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        }
    }
}
