//! A TCP proxy in front of Postgres with switches that a test flips while it runs: slow, silent, closed, or deaf.

use crate::harness::process;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Connections that are kept open at most; a further one is refused.
const MAX_CONNECTIONS: usize = 200;
/// Kind of the message by which Postgres tells of a notification.
const NOTIFICATION: u8 = b'A';

/// What is not forwarded although its connection stays open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Silent {
    /// Everything is forwarded.
    #[default]
    None,
    /// Connections on which the client has sent `LISTEN`.
    Listening,
    /// What Postgres says on such connections; what the client says is forwarded.
    Heard,
    /// All of them.
    All,
}

#[derive(Default)]
struct Switches {
    delay_ms: AtomicU64,
    silent: Mutex<Silent>,
    refuses: AtomicBool,
    is_deaf: AtomicBool,
    over: AtomicBool,
    open: AtomicUsize,
    most: AtomicUsize,
    subscriptions: AtomicUsize,
}

/// One connection of a client, with its counterpart to Postgres.
struct Link {
    client: TcpStream,
    server: Upstream,
    listens: AtomicBool,
    /// Nothing goes through any more, whatever the switches say.
    is_lost: AtomicBool,
    ended: AtomicUsize,
}

/// Where something goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Where Postgres listens.
#[derive(Clone)]
enum Place {
    Socket(String),
    Tcp(String),
}

enum Upstream {
    Socket(UnixStream),
    Tcp(TcpStream),
}

/// The proxy. It closes everything when dropped.
pub struct Proxy {
    address: SocketAddr,
    /// User, password and database of the connection string that it stands for.
    credentials: String,
    database: String,
    switches: Arc<Switches>,
    links: Arc<Mutex<Vec<Arc<Link>>>>,
}

impl Proxy {
    /// Stands in front of the Postgres of this connection string.
    pub fn before(url: &str) -> Self {
        let (server, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (authority, database) = server.split_once("://").unwrap().1.rsplit_once('/').unwrap();
        let (credentials, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let parameter = |name: &str| {
            let found = parameters.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map(decoded)
        };
        let port = parameter("port").unwrap_or_else(|| "5432".to_owned());
        let place = match parameter("host") {
            Some(folder) if folder.starts_with('/') => Place::Socket(format!("{folder}/.s.PGSQL.{port}")),
            Some(name) => Place::Tcp(format!("{name}:{port}")),
            None if host.contains(':') => Place::Tcp(host.to_owned()),
            None => Place::Tcp(format!("{host}:{port}")),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            credentials: credentials.to_owned(),
            database: database.to_owned(),
            switches: Arc::default(),
            links: Arc::default(),
        };
        let (switches, links) = (Arc::clone(&proxy.switches), Arc::clone(&proxy.links));
        thread::spawn(move || accept(&listener, &place, &switches, &links));
        proxy
    }

    /// The connection string through the proxy.
    pub fn url(&self) -> String {
        let (credentials, address, database) = (&self.credentials, self.address, &self.database);
        format!("postgresql://{credentials}@{address}/{database}?sslmode=disable&gssencmode=disable")
    }

    /// Every chunk that goes through waits so long, either way.
    pub fn delay(&self, delay: Duration) {
        self.switches.delay_ms.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Stops forwarding without closing anything, until it is told otherwise. What was held back is forwarded then.
    pub fn silence(&self, silent: Silent) {
        *self.switches.silent.lock().unwrap() = silent;
    }

    /// The connections that are silent now stay so for ever, as when a router has lost its state. New ones are not silent.
    pub fn lose_what_is_silent(&self) {
        let lost = |link: &&Arc<Link>| link.is_silent(&self.switches, Way::ToServer);
        self.links.lock().unwrap().iter().filter(lost).for_each(|link| link.is_lost.store(true, Ordering::SeqCst));
        self.silence(Silent::None);
    }

    /// Drops every notification on its way to the client, as a pooler does that gives a connection to whoever needs one.
    pub fn be_deaf(&self, is_deaf: bool) {
        self.switches.is_deaf.store(is_deaf, Ordering::SeqCst);
    }

    /// Refuses new connections.
    pub fn refuse(&self, refuses: bool) {
        self.switches.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Closes all connections, or those on which the client has sent `LISTEN`.
    pub fn close(&self, which: Silent) {
        let links = self.links.lock().unwrap();
        let chosen = |link: &&Arc<Link>| match which {
            Silent::None => false,
            Silent::Listening | Silent::Heard => link.listens.load(Ordering::SeqCst),
            Silent::All => true,
        };
        links.iter().filter(chosen).for_each(|link| link.close());
    }

    /// How often a client has sent `LISTEN`, ever.
    pub fn subscriptions(&self) -> usize {
        self.switches.subscriptions.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.switches.open.load(Ordering::SeqCst)
    }

    /// Connections that were open at the same time at most.
    pub fn most(&self) -> usize {
        self.switches.most.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.switches.over.store(true, Ordering::SeqCst);
        self.close(Silent::All);
        // Wakes the one who accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Link {
    fn is_silent(&self, switches: &Switches, way: Way) -> bool {
        let here = match *switches.silent.lock().unwrap() {
            Silent::None => false,
            Silent::Listening => self.listens.load(Ordering::SeqCst),
            Silent::Heard => way == Way::ToClient && self.listens.load(Ordering::SeqCst),
            Silent::All => true,
        };
        here || self.is_lost.load(Ordering::SeqCst)
    }

    fn close(&self) {
        // It may be closed already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = match &self.server {
            Upstream::Socket(stream) => stream.shutdown(Shutdown::Both),
            Upstream::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Upstream {
    fn connect(place: &Place) -> std::io::Result<Self> {
        Ok(match place {
            Place::Socket(path) => Self::Socket(UnixStream::connect(path)?),
            Place::Tcp(address) => Self::Tcp(TcpStream::connect(address)?),
        })
    }

    fn read(&self, buffer: &mut [u8]) -> usize {
        let length = match self {
            Self::Socket(stream) => (&*stream).read(buffer),
            Self::Tcp(stream) => (&*stream).read(buffer),
        };
        length.unwrap_or(0)
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Socket(stream) => (&*stream).write_all(bytes),
            Self::Tcp(stream) => (&*stream).write_all(bytes),
        }
    }
}

fn accept(listener: &TcpListener, place: &Place, switches: &Arc<Switches>, links: &Arc<Mutex<Vec<Arc<Link>>>>) {
    while let Ok((client, _)) = listener.accept() {
        if switches.over.load(Ordering::SeqCst) {
            return;
        }
        let full = switches.open.load(Ordering::SeqCst) >= MAX_CONNECTIONS;
        if full || switches.refuses.load(Ordering::SeqCst) {
            continue;
        }
        let Ok(server) = Upstream::connect(place) else { continue };
        client.set_nodelay(true).unwrap();
        let (listens, is_lost, ended) = Default::default();
        let link = Arc::new(Link { client, server, listens, is_lost, ended });
        {
            let mut links = links.lock().unwrap();
            links.retain(|link| link.ended.load(Ordering::SeqCst) == 0);
            links.push(Arc::clone(&link));
        }
        let open = switches.open.fetch_add(1, Ordering::SeqCst) + 1;
        switches.most.fetch_max(open, Ordering::SeqCst);
        for pump in [to_server, to_client] {
            let (link, switches) = (Arc::clone(&link), Arc::clone(switches));
            thread::spawn(move || {
                pump(&link, &switches);
                link.close();
                if link.ended.fetch_add(1, Ordering::SeqCst) == 0 {
                    switches.open.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    }
}

/// Waits as long as nothing is to go through; false if it never will.
fn pass(link: &Link, switches: &Switches, way: Way) -> bool {
    let delay = switches.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        process::wait(Duration::from_millis(delay));
    }
    while link.is_silent(switches, way) {
        if switches.over.load(Ordering::SeqCst) || link.ended.load(Ordering::SeqCst) > 0 {
            return false;
        }
        process::pause();
    }
    true
}

fn to_server(link: &Link, switches: &Switches) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = (&link.client).read(&mut buffer) {
        let chunk = &buffer[..length];
        if chunk.windows(7).any(|word| word == b"LISTEN ") {
            link.listens.store(true, Ordering::SeqCst);
            switches.subscriptions.fetch_add(1, Ordering::SeqCst);
        }
        if !pass(link, switches, Way::ToServer) || link.server.write(chunk).is_err() {
            return;
        }
    }
    // That the client has gone is not told, either, while nothing is.
    pass(link, switches, Way::ToServer);
}

fn to_client(link: &Link, switches: &Switches) {
    let (mut buffer, mut messages, mut out) = ([0; 16 << 10], Messages::default(), Vec::new());
    loop {
        let length = link.server.read(&mut buffer);
        if !pass(link, switches, Way::ToClient) || length == 0 {
            return;
        }
        out.clear();
        messages.forward(&buffer[..length], switches.is_deaf.load(Ordering::SeqCst), &mut out);
        if (&link.client).write_all(&out).is_err() {
            return;
        }
    }
}

/// The messages of Postgres, which come in chunks of any length: a kind, four bytes of length, the rest.
#[derive(Default)]
struct Messages {
    head: Vec<u8>,
    left: usize,
    drops: bool,
}

impl Messages {
    /// Appends what is to be forwarded of a chunk.
    fn forward(&mut self, mut chunk: &[u8], is_deaf: bool, out: &mut Vec<u8>) {
        while !chunk.is_empty() {
            if self.left == 0 {
                let (head, rest) = chunk.split_at(chunk.len().min(5 - self.head.len()));
                self.head.extend_from_slice(head);
                chunk = rest;
                if self.head.len() < 5 {
                    return;
                }
                let length = u32::from_be_bytes(self.head[1..5].try_into().unwrap());
                self.left = usize::try_from(length).unwrap().saturating_sub(4);
                self.drops = is_deaf && self.head[0] == NOTIFICATION;
                if !self.drops {
                    out.extend_from_slice(&self.head);
                }
                self.head.clear();
            }
            let (body, rest) = chunk.split_at(chunk.len().min(self.left));
            if !self.drops {
                out.extend_from_slice(body);
            }
            self.left -= body.len();
            chunk = rest;
        }
    }
}

/// The text of a percent-encoded value.
fn decoded(value: &str) -> String {
    let mut parts = value.split('%');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        text.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        text.push_str(rest);
    }
    text
}

#[test]
fn only_notifications_are_dropped_however_the_messages_are_cut() {
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    };
    let kept = [message(b'Z', b"I"), message(b'D', &[b'A'; 300]), message(b'1', b"")];
    let all =
        [&kept[0], &message(NOTIFICATION, b"1234channel payload"), &kept[1], &message(NOTIFICATION, b""), &kept[2]];
    let all: Vec<u8> = all.into_iter().flatten().copied().collect();
    for size in 1..all.len() {
        for (is_deaf, expected) in [(true, kept.concat()), (false, all.clone())] {
            let (mut messages, mut out) = (Messages::default(), Vec::new());
            all.chunks(size).for_each(|chunk| messages.forward(chunk, is_deaf, &mut out));
            assert_eq!(out, expected, "in chunks of {size}");
        }
    }
}
