//! The connection to Redis: multiplexed, on a thread of its own, made anew by itself, given up on quickly while Redis is away.

use crate::config::Malformed;
use redis::AsyncConnectionConfig;
use redis::Client;
use redis::ErrorKind;
use redis::RedisError;
use redis::RedisResult;
use redis::ServerErrorKind;
use redis::aio::MultiplexedConnection;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio::time::timeout;

/// How often an idle connection is tried, so that readiness knows of a Redis that went away before a request does.
const PING_EVERY: Duration = Duration::from_secs(1);
/// Pause between two tries to connect.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Commands that wait to be written to the connection, beyond which callers wait (within their time).
const WAITING: usize = 1024;

/// The connection, and the thread that keeps it. The thread ends when this is dropped.
pub(in crate::limiter) struct Connection {
    shared: Arc<Shared>,
    link: watch::Receiver<Link>,
    timeout: Duration,
    errors: AtomicU64,
    _running: oneshot::Sender<()>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("link", &*self.link.borrow()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    /// Number of the newest connection that somebody found broken.
    broken: AtomicU64,
    found_broken: Notify,
}

#[derive(Clone)]
enum Link {
    /// The first try is under way: callers wait for it.
    Connecting,
    /// Numbered, so that a late complaint about an old connection does not end the new one.
    Up(u64, MultiplexedConnection),
    /// Callers are refused at once. Why it is so.
    Away(Arc<str>),
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "Connecting",
            Self::Up(..) => "Up",
            Self::Away(_) => "Away",
        })
    }
}

impl Connection {
    /// Starts the thread that connects.
    pub(in crate::limiter) fn open(url: &str, timeout: Duration) -> Result<Self, Malformed> {
        let client = client(url)?;
        let cannot = |error: std::io::Error| Malformed(format!("KEYWARD_REDIS_URL: cannot start a thread ({error})"));
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let (publish, link) = watch::channel(Link::Connecting);
        let (running, mut ended) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let kept = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("redis".to_owned());
        thread
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        _ = &mut ended => (),
                        () = keep(&client, &kept, &publish, timeout) => (),
                    }
                });
            })
            .map_err(cannot)?;
        Ok(Self { shared, link, timeout, errors: AtomicU64::new(0), _running: running })
    }

    /// Asks Redis, within the time that a call has.
    pub(in crate::limiter) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, String> {
        let mut used = None;
        let asking = async {
            let (number, mut connection) = self.connection().await?;
            used = Some(number);
            question(&mut connection).await.map_err(|error| {
                if is_lost(&error) {
                    self.shared.complain(number);
                }
                error.to_string()
            })
        };
        let answer = timeout(self.timeout, asking).await;
        let answer = answer.unwrap_or_else(|_elapsed| {
            // It may hang for long. Those who come after find out in the time of one try, not each in a time of its own.
            used.inspect(|number| self.shared.complain(*number));
            Err("Redis does not answer in time".to_owned())
        });
        if answer.is_err() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Questions that were not answered as they should, ever.
    pub(in crate::limiter) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Why Redis cannot be asked right now.
    pub(in crate::limiter) fn away(&self) -> Option<String> {
        match &*self.link.borrow() {
            Link::Connecting => Some("not connected yet".to_owned()),
            Link::Up(..) => None,
            Link::Away(reason) => Some(reason.to_string()),
        }
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), String> {
        let mut link = self.link.clone();
        let link = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
        match link.as_deref() {
            Ok(Link::Up(number, connection)) => Ok((*number, connection.clone())),
            Ok(Link::Away(reason)) => Err(reason.to_string()),
            Ok(Link::Connecting) | Err(_) => Err("the thread of the connection to Redis has ended".to_owned()),
        }
    }
}

impl Shared {
    fn complain(&self, number: u64) {
        self.broken.fetch_max(number, Ordering::AcqRel);
        self.found_broken.notify_one();
    }
}

/// Whether another connection could do better: this one is lost, or leads to a server that does not take writes (any more).
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// Keeps one connection up, for ever.
async fn keep(client: &Client, shared: &Shared, publish: &watch::Sender<Link>, patience: Duration) {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(WAITING);
    for number in 1.. {
        match connect(client, &config, patience).await {
            Ok(connection) => {
                publish_up(publish, number, connection.clone());
                let reason = until_broken(shared, number, connection, patience).await;
                publish_away(publish, reason);
            }
            Err(reason) => {
                publish_away(publish, reason);
                sleep(RETRY_AFTER).await;
            }
        }
    }
}

fn publish_up(publish: &watch::Sender<Link>, number: u64, connection: MultiplexedConnection) {
    let before = publish.send_replace(Link::Up(number, connection));
    if matches!(before, Link::Away(_)) {
        tracing::info!("Redis is back: rate limits are counted again");
    }
}

/// Says so once, and not again for each try that fails.
fn publish_away(publish: &watch::Sender<Link>, reason: String) {
    let said = Arc::from(reason.as_str());
    let before = publish.send_replace(Link::Away(said));
    if !matches!(before, Link::Away(_)) {
        tracing::warn!(reason, "Redis is away: rate limits cannot be counted");
    }
}

async fn connect(
    client: &Client,
    config: &AsyncConnectionConfig,
    patience: Duration,
) -> Result<MultiplexedConnection, String> {
    let connecting = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
        // A server that loads its data or hangs takes connections, too.
        redis::cmd("PING").exec_async(&mut connection).await?;
        Ok(connection)
    };
    match timeout(patience, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_elapsed) => Err("no answer in time".to_owned()),
    }
}

async fn until_broken(
    shared: &Shared,
    number: u64,
    mut connection: MultiplexedConnection,
    patience: Duration,
) -> String {
    while shared.broken.load(Ordering::Acquire) < number {
        tokio::select! {
            () = shared.found_broken.notified() => (),
            () = sleep(PING_EVERY) => match timeout(patience, redis::cmd("PING").exec_async(&mut connection)).await {
                Ok(Ok(())) => (),
                Ok(Err(error)) => return reason(&error),
                Err(_elapsed) => return "no answer in time".to_owned(),
            },
        }
    }
    "a call was not answered".to_owned()
}

fn reason(error: &RedisError) -> String {
    let first = error.to_string();
    first.lines().next().unwrap_or_default().to_owned()
}

fn client(url: &str) -> Result<Client, Malformed> {
    // What the parser says may quote a part of the URL, and so of the password.
    Client::open(url).map_err(|_quoting| {
        Malformed(
            "KEYWARD_REDIS_URL is malformed: expected redis://user:password@host:port/number, rediss://… for TLS, or \
             redis+unix:///path, special characters of the password percent-encoded"
                .to_owned(),
        )
    })
}

/// Whether a connection string can be used.
///
/// # Errors
/// It is malformed.
pub fn check(url: &str) -> Result<(), Malformed> {
    client(url).map(drop)
}

/// A Redis that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answering {
    /// Its version.
    pub version: String,
    /// Which keys it throws away when its memory is full; `None` if it does not say.
    pub eviction: Option<String>,
}

/// Asks Redis once, without a runtime: for the command line.
///
/// # Errors
/// Why it cannot be used, in one line without the connection string.
pub fn probe(url: &str, patience: Duration) -> Result<Answering, String> {
    let client = client(url).map_err(|malformed| malformed.0)?;
    let ask = || -> RedisResult<String> {
        let mut connection = client.get_connection_with_timeout(patience)?;
        connection.set_read_timeout(Some(patience))?;
        connection.set_write_timeout(Some(patience))?;
        redis::cmd("INFO").query(&mut connection)
    };
    let info = ask().map_err(|error| reason(&error))?;
    let field = |name: &str| {
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(|value| value.trim().to_owned())
    };
    Ok(Answering {
        version: field("redis_version").unwrap_or_else(|| "of unknown version".to_owned()),
        eviction: field("maxmemory_policy").filter(|_| field("maxmemory").is_some_and(|most| most != "0")),
    })
}
