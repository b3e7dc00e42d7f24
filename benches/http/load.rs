//! The client: a process on a core of its own, with keep-alive connections, one request at a time on each.
//!
//! It writes bytes that are ready and reads just enough of an answer to know its status and its end. A general HTTP client
//! costs two to five times as much CPU as the bare handler that it would measure, and then measures itself.

use crate::Fault;
use crate::process;
use crate::wire;
use crate::wire::Question;
use serde::Deserialize;
use serde::Serialize;
use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Keys by their numbers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Keys {
    /// Number of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl Keys {
    /// Some keys.
    pub const fn new(first: u64, count: u64) -> Self {
        Self { first, count }
    }
}

/// What one measurement does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// The process of the database.
    pub database_pid: u32,
    /// The request.
    pub question: Question,
    /// Keys that it is about, each as likely as the other.
    pub keys: Keys,
    /// Other keys, and how many requests in a hundred are about them.
    pub others: Option<(Keys, u64)>,
    /// Each key once, in order, until all were asked for; then it ends.
    pub each_once: bool,
    /// Connections.
    pub connections: usize,
    /// Requests a second at most, over all connections.
    pub rate: Option<u32>,
    /// What precedes the measurement.
    pub warm_up: Duration,
    /// How long is measured.
    pub measured: Duration,
}

/// What one measurement found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Answers within the measured time.
    pub answers: u64,
    /// How long was measured, seconds.
    pub seconds: f64,
    /// Half of the answers took no longer, microseconds.
    pub p50_us: f64,
    /// 99 of 100 answers took no longer, microseconds.
    pub p99_us: f64,
    /// Answers that found a key valid.
    pub valid: u64,
    /// Answers other than 200, and connections that broke.
    pub failed: u64,
    /// CPU time of the server in the measured time, microseconds.
    pub server_cpu_us: u64,
    /// CPU time of the database, microseconds.
    pub database_cpu_us: u64,
    /// CPU time of the client, microseconds.
    pub client_cpu_us: u64,
    /// CPU time of the server by name of thread, microseconds.
    pub threads_cpu_us: BTreeMap<String, u64>,
}

impl Found {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds.max(f64::EPSILON)
    }

    /// CPU time per answer, microseconds.
    pub fn per_answer(&self, cpu_us: u64) -> f64 {
        cpu_us as f64 / (self.answers as f64).max(1.0)
    }
}

/// Measures in a process on its own core.
pub fn measure(load: &Load, core: &[usize]) -> Result<Found, Fault> {
    let child = start(load, core)?;
    finish(child)
}

/// Starts a measurement.
pub fn start(load: &Load, core: &[usize]) -> Result<std::process::Child, Fault> {
    let mut command: Command = process::pinned(core, &std::env::current_exe()?);
    let mut child = command.arg(process::LOAD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take().ok_or("a child without an input")?;
    serde_json::to_writer(stdin, load)?;
    Ok(child)
}

/// Waits for the end of a measurement.
pub fn finish(child: std::process::Child) -> Result<Found, Fault> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err("the client failed".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The client's process.
pub fn run() -> Result<ExitCode, Fault> {
    let load: Load = serde_json::from_reader(std::io::stdin())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = tokio::task::LocalSet::new().block_on(&runtime, conduct(load))?;
    println!("{}", serde_json::to_string(&found)?);
    Ok(ExitCode::SUCCESS)
}

/// What all connections share.
struct Shared {
    load: Load,
    measuring: Cell<bool>,
    over: Cell<bool>,
    next: Cell<u64>,
    random: Cell<u64>,
    valid: Cell<u64>,
    failed: Cell<u64>,
    latencies: RefCell<Histogram>,
}

impl Shared {
    /// The next key, if there is one.
    fn key(&self) -> Option<u64> {
        let Keys { first, count } = self.load.keys;
        if self.load.each_once {
            let next = self.next.replace(self.next.get() + 1);
            return (next < count).then_some(first + next);
        }
        match self.load.others {
            Some((others, percent)) if self.random() % 100 < percent => {
                Some(others.first + self.random() % others.count)
            }
            _ => Some(first + self.random() % count),
        }
    }

    /// xorshift64: even enough, and a nanosecond.
    fn random(&self) -> u64 {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        state >> 11
    }
}

struct Cpu {
    at: Instant,
    server: u64,
    database: u64,
    client: u64,
    threads: BTreeMap<String, u64>,
}

impl Cpu {
    fn now(load: &Load) -> Self {
        Self {
            server: process::cpu_us(load.pid),
            database: process::family_cpu_us(load.database_pid),
            client: process::cpu_us(std::process::id()),
            threads: process::threads_cpu_us(load.pid),
            at: Instant::now(),
        }
    }
}

async fn conduct(load: Load) -> Result<Found, Fault> {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos() as u64 | 1;
    let shared = Rc::new(Shared {
        measuring: Cell::new(load.each_once),
        over: Cell::new(false),
        next: Cell::new(0),
        random: Cell::new(seed),
        valid: Cell::new(0),
        failed: Cell::new(0),
        latencies: RefCell::new(Histogram::new()),
        load,
    });
    let load = &shared.load;
    let connections: Vec<_> = (0..load.connections)
        .map(|_| {
            let shared = Rc::clone(&shared);
            tokio::task::spawn_local(async move {
                if connection(&shared).await.is_err() {
                    shared.failed.set(shared.failed.get() + 1);
                }
            })
        })
        .collect();
    let mut begun = Cpu::now(load);
    if !load.each_once {
        tokio::time::sleep(load.warm_up).await;
        begun = Cpu::now(load);
        shared.measuring.set(true);
        tokio::time::sleep(load.measured).await;
        shared.measuring.set(false);
        shared.over.set(true);
    }
    let end = if load.each_once { None } else { Some(Cpu::now(load)) };
    for connection in connections {
        // One that hangs is not waited for.
        if tokio::time::timeout(load.measured + Duration::from_secs(60), connection).await.is_err() {
            shared.failed.set(shared.failed.get() + 1);
        }
    }
    let end = end.unwrap_or_else(|| Cpu::now(load));
    let latencies = shared.latencies.borrow();
    let threads = end.threads.into_iter().map(|(name, used)| {
        let before = begun.threads.get(&name).copied().unwrap_or(0);
        (name, used.saturating_sub(before))
    });
    Ok(Found {
        answers: latencies.count,
        seconds: end.at.duration_since(begun.at).as_secs_f64(),
        p50_us: latencies.quantile_us(0.5),
        p99_us: latencies.quantile_us(0.99),
        valid: shared.valid.get(),
        failed: shared.failed.get(),
        server_cpu_us: end.server.saturating_sub(begun.server),
        database_cpu_us: end.database.saturating_sub(begun.database),
        client_cpu_us: end.client.saturating_sub(begun.client),
        threads_cpu_us: threads.collect(),
    })
}

async fn connection(shared: &Shared) -> std::io::Result<()> {
    let load = &shared.load;
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let mut template = load.question.template();
    let (mut buffer, mut received) = (vec![0; 64 * 1024], 0);
    let between = load.rate.map(|rate| Duration::from_secs_f64(load.connections as f64 / f64::from(rate.max(1))));
    let mut due = tokio::time::Instant::now();
    while !shared.over.get() {
        if let Some(between) = between {
            tokio::time::sleep_until(due).await;
            // What could not be sent in time is not made up for: the rate is the most, not the average.
            due = (due + between).max(tokio::time::Instant::now());
        }
        let Some(key) = shared.key() else { break };
        let begun = Instant::now();
        stream.write_all(template.about(key)).await?;
        let answer = loop {
            let free = buffer.get_mut(received..).unwrap_or_default();
            let length = stream.read(free).await?;
            if length == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            received += length;
            if let Some(answer) = wire::answer(buffer.get(..received).unwrap_or_default()) {
                break answer;
            }
        };
        received = received.saturating_sub(answer.length);
        if shared.measuring.get() {
            shared.latencies.borrow_mut().note(begun.elapsed());
            shared.valid.set(shared.valid.get() + u64::from(answer.valid));
            shared.failed.set(shared.failed.get() + u64::from(answer.status != 200));
        }
    }
    Ok(())
}

/// Latencies in buckets that are 1/32 wide of the power of two that they are in: right to 3 %, from 1 µs to an hour.
struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

/// Buckets of each power of two.
const FINE: u64 = 32;

impl Histogram {
    fn new() -> Self {
        Self { buckets: vec![0; 1024], count: 0 }
    }

    fn note(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let index = Self::bucket(us).min(self.buckets.len() - 1);
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
            self.count += 1;
        }
    }

    fn bucket(us: u64) -> usize {
        if us < FINE {
            return us as usize;
        }
        // Below this, steps of 1 µs; above, FINE steps for each doubling.
        let doublings = u64::from(us.ilog2() - FINE.ilog2());
        (FINE * doublings + (us >> doublings)) as usize
    }

    /// Lower end of a bucket.
    fn us(index: u64) -> u64 {
        if index < 2 * FINE {
            return index;
        }
        let doublings = index / FINE - 1;
        (index - FINE * doublings) << doublings
    }

    fn quantile_us(&self, quantile: f64) -> f64 {
        let rank = (self.count as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        for (index, bucket) in (0..).zip(&self.buckets) {
            seen += bucket;
            if seen >= rank && *bucket > 0 {
                // The middle of the bucket.
                return (Self::us(index) + Self::us(index + 1)) as f64 / 2.0;
            }
        }
        0.0
    }
}

/// Where programs are that this one starts.
pub fn keyward() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_keyward"))
}
