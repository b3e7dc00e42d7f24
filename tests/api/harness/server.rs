//! Servers: the real one, on port 0, in this process so that a test can move its clock.

use crate::harness::postgres;
use clap::Parser;
use keyward::app::App;
use keyward::config::Settings;
use keyward::model::clock::Clock;
use keyward::model::master_key::MasterKeys;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

/// How a server is started.
pub struct Options {
    /// Command-line flags of `keyward serve`.
    pub flags: Vec<String>,
    /// Its database.
    pub database: String,
    /// Its master keys.
    pub master_keys: MasterKeys,
}

impl Default for Options {
    /// The shared database, one master key, defaults for all else.
    fn default() -> Self {
        let entry = MasterKeys::generate_entry().unwrap();
        Self {
            flags: Vec::new(),
            database: postgres::shared_database().to_owned(),
            master_keys: MasterKeys::parse(&entry).unwrap(),
        }
    }
}

impl Options {
    /// Adds flags, separated by blanks.
    pub fn flags(mut self, flags: &str) -> Self {
        self.flags.extend(flags.split_whitespace().map(ToOwned::to_owned));
        self
    }

    /// Sets the database.
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = url.into();
        self
    }

    /// Sets the master keys.
    pub fn master_keys(mut self, master_keys: MasterKeys) -> Self {
        self.master_keys = master_keys;
        self
    }

    /// Starts the server.
    pub fn start(self) -> Server {
        Server::start(self)
    }
}

/// A running server. It stops when dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process, for what HTTP cannot do.
    pub app: Arc<App>,
    /// Its clock.
    pub clock: Clock,
    /// Its database.
    pub database: String,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// The server that most tests share. Its clock is not moved. All of them call from one address, so it does not count
    /// failed authentications.
    pub fn shared() -> &'static Self {
        // All tests fail to authenticate from one address; the limit on that is tested on servers of its own.
        static SHARED: LazyLock<Server> =
            LazyLock::new(|| Options::default().flags("--auth-failures-per-minute 0").start());
        &SHARED
    }

    fn start(options: Options) -> Self {
        let flags = ["keyward", "--listen", "127.0.0.1:0", "--workers", "2", "--database-connections", "8"];
        let flags = flags.into_iter().map(ToOwned::to_owned).chain(options.flags);
        let settings = Flags::try_parse_from(flags).unwrap_or_else(|error| panic!("{error}")).settings;
        let clock = Clock::system();
        let listener = TcpListener::bind(settings.listen).unwrap();
        let address = listener.local_addr().unwrap();
        let app = App::new(settings, &options.database, options.master_keys, clock.clone()).unwrap();
        let app = Arc::new(app);
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&app);
        let thread = std::thread::spawn(move || {
            let stopped = async move {
                // A sender that is gone means stop as well.
                let _ = stopped.await;
            };
            actix_web::rt::System::new().block_on(keyward::server::run(served, listener, stopped)).unwrap();
        });
        Self {
            address,
            app,
            clock,
            database: options.database,
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(Some(thread)),
        }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops it in order and waits until it has ended.
    pub fn stop(&self) {
        self.stop.lock().unwrap().take();
        if let Some(thread) = self.thread.lock().unwrap().take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.lock().unwrap().take();
    }
}
