//! Every setting once: flag, environment variable, default, meaning. Secrets also as `NAME_FILE`.

use crate::model::address::AddressList;
use crate::model::master_key::MasterKeys;
use crate::model::secret::Plaintext;
use crate::model::usage::Retention;
use clap::Args;
use clap::ValueEnum;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Where the server listens unless it is told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Heading of the options that every command takes.
pub const GLOBAL: &str = "Global options";

/// Where the database is.
#[derive(Args, Clone, Debug, Default)]
pub struct DatabaseSettings {
    /// Connection string of the Postgres database (URL or key=value)
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true, help_heading = GLOBAL, value_name = "URL")]
    pub database_url: Option<Secret>,
    /// File that holds the connection string
    #[arg(long, env = "DATABASE_URL_FILE", global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
}

/// Where rate limits are counted for all nodes.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct RedisSettings {
    /// Connection string of a Redis that counts rate limits for all nodes (redis:// or rediss://); without one each node counts
    /// for itself
    #[arg(long, env = "KEYWARD_REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<Secret>,
    /// File that holds the connection string of Redis
    #[arg(long, env = "KEYWARD_REDIS_URL_FILE", value_name = "FILE")]
    pub redis_url_file: Option<PathBuf>,
    /// Longest time that one request may wait for Redis, milliseconds
    #[arg(long, env = "KEYWARD_REDIS_TIMEOUT_MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(10..=10_000))]
    pub redis_timeout_ms: u64,
}

/// How the server serves.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Settings {
    /// Address and port to listen on
    #[arg(long, env = "KEYWARD_LISTEN", default_value = DEFAULT_LISTEN, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Threads that serve requests; 0 is one a core
    #[arg(long, env = "KEYWARD_WORKERS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub workers: u16,
    /// Connections of the pool to the database at most; four more are kept for verification
    #[arg(long, env = "KEYWARD_DATABASE_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_connections: u32,
    /// Longest time that one request may spend on the database, milliseconds; then it is answered 503. An import may spend
    /// ten times that
    #[arg(long, env = "KEYWARD_DATABASE_TIMEOUT_MS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub database_timeout_ms: u64,
    /// Largest request body, bytes
    #[arg(long, env = "KEYWARD_MAX_BODY_BYTES", default_value_t = 10_485_760, value_parser = clap::value_parser!(u64).range(1024..=1_073_741_824))]
    pub max_body_bytes: u64,
    /// Largest request header, all lines together, bytes
    #[arg(long, env = "KEYWARD_MAX_HEADER_BYTES", default_value_t = 32_768, value_parser = clap::value_parser!(u64).range(1024..=65_536))]
    pub max_header_bytes: u64,
    /// Longest time that a client may take to send a request, milliseconds
    #[arg(long, env = "KEYWARD_READ_TIMEOUT_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(50..=600_000))]
    pub read_timeout_ms: u64,
    /// Longest time that a request may take, milliseconds; then it is answered 408
    #[arg(long, env = "KEYWARD_REQUEST_TIMEOUT_MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(50..=600_000))]
    pub request_timeout_ms: u64,
    /// Client connections at most; further ones wait to be accepted
    #[arg(long, env = "KEYWARD_MAX_CONNECTIONS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Failed authentications per minute and client address; further failing calls are answered 429. 0 is no limit
    #[arg(long, env = "KEYWARD_AUTH_FAILURES_PER_MINUTE", default_value_t = 60)]
    pub auth_failures_per_minute: u32,
    /// Keys that are remembered at most, so that verifying one again asks nobody
    #[arg(long, env = "KEYWARD_CACHE_ENTRIES", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub cache_entries: u32,
    /// How long a node that hears of no changes may use what it remembers; then it asks the database, and answers 503 if it
    /// cannot. No revoked key verifies for longer than this. 0s remembers nothing
    #[arg(long, env = "KEYWARD_MAX_STALENESS", default_value = "5s", value_parser = span, value_name = "DURATION")]
    pub max_staleness: Duration,
    /// Rate-limit counters that are kept in memory at most, without Redis; calls that need a further one are treated as
    /// KEYWARD_RATELIMIT_ON_ERROR says
    #[arg(long, env = "KEYWARD_RATELIMIT_COUNTERS", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    pub ratelimit_counters: u32,
    /// What ratelimit.limit and ratelimit.multiLimit answer when their counters cannot be had; keys.verifyKey answers 503
    #[arg(long, env = "KEYWARD_RATELIMIT_ON_ERROR", default_value = "deny")]
    pub ratelimit_on_error: OnError,
    /// The Redis that counts rate limits for all nodes
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Addresses and CIDR ranges of proxies whose X-Forwarded-For is believed, separated by commas
    #[arg(
        long,
        env = "KEYWARD_TRUSTED_PROXIES",
        default_value = "",
        hide_default_value = true,
        value_name = "ADDRESSES"
    )]
    pub trusted_proxies: TrustedProxies,
    /// Where `error.type` of an answer points to; the code's path is appended
    #[arg(
        long,
        env = "KEYWARD_ERROR_DOCS_URL",
        default_value = "https://unkey.com/docs/api-reference/errors-v2/",
        value_name = "URL"
    )]
    pub error_docs_url: String,
    /// Longest time that requests in flight get to end when the server stops, milliseconds
    #[arg(long, env = "KEYWARD_DRAIN_TIMEOUT_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub drain_timeout_ms: u64,
    /// Days that single verifications are kept, the current one not counted
    #[arg(long, env = "KEYWARD_EVENTS_RETENTION_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub events_retention_days: u32,
    /// Days that records of denials are kept, the current one not counted
    #[arg(long, env = "KEYWARD_DECISIONS_RETENTION_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub decisions_retention_days: u32,
    /// Days that counts of verifications by the hour are kept, the current one not counted
    #[arg(long, env = "KEYWARD_USAGE_HOURLY_RETENTION_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub usage_hourly_retention_days: u32,
    /// Days that counts of verifications by the day are kept, the current one not counted; 0 is for ever
    #[arg(long, env = "KEYWARD_USAGE_DAILY_RETENTION_DAYS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub usage_daily_retention_days: u32,
    /// Days that the audit log is kept, the current one not counted; 0 is for ever
    #[arg(long, env = "KEYWARD_AUDIT_RETENTION_DAYS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub audit_retention_days: u32,
    /// Whether the database is migrated at start
    #[arg(long, env = "KEYWARD_MIGRATE", default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    pub migrate: bool,
    /// What is logged: a level, or `target=level` pairs separated by commas
    #[arg(long, env = "KEYWARD_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// Whether there is also a log line for each verification that is VALID and each rate limit that is passed; metrics count
    /// them, and whatever is refused or fails has its line in any case
    #[arg(long, env = "KEYWARD_LOG_VERIFICATIONS", default_value_t = false, action = clap::ArgAction::Set, value_name = "true|false")]
    pub log_verifications: bool,
    /// How it is logged; `auto` is text on a terminal and JSON elsewhere
    #[arg(long, env = "KEYWARD_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// Root key that shall exist at start, with every permission, in the workspace `default`; 22 to 512 characters
    #[arg(long, env = "KEYWARD_BOOTSTRAP_ROOT_KEY", hide_env_values = true, value_name = "ROOT-KEY")]
    pub bootstrap_root_key: Option<Secret>,
    /// File that holds the bootstrap root key
    #[arg(long, env = "KEYWARD_BOOTSTRAP_ROOT_KEY_FILE", value_name = "FILE")]
    pub bootstrap_root_key_file: Option<PathBuf>,
    /// Master keys that seal recoverable keys
    #[command(flatten)]
    pub master_key: MasterKeySettings,
}

/// The master key ring.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct MasterKeySettings {
    /// Master key ring `id:base64[,id:base64…]`: the first seals recoverable keys, all open them
    #[arg(long, env = "KEYWARD_MASTER_KEY", hide_env_values = true, value_name = "RING")]
    pub master_key: Option<Secret>,
    /// File that holds the master key ring
    #[arg(long, env = "KEYWARD_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
}

/// What a rate limit answers that cannot be counted (decisions.md #46).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Nobody passes.
    Deny,
    /// Everybody passes.
    Allow,
}

impl OnError {
    /// The word of the setting, also a label of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Text that is not printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub AddressList);

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
        AddressList::parse(&entries)
            .map(Self)
            .map_err(|index| format!("entry {} is neither an address nor a CIDR range", index.saturating_add(1)))
    }
}

/// Why a setting cannot be used: one sentence that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl DatabaseSettings {
    /// The connection string, if one is set.
    ///
    /// # Errors
    /// An unreadable file, or both forms at once.
    pub fn url(&self) -> Result<Option<Secret>, Malformed> {
        secret("DATABASE_URL", self.database_url.as_ref(), self.database_url_file.as_deref())
    }
}

impl MasterKeySettings {
    /// The ring; empty if none is set.
    ///
    /// # Errors
    /// An unreadable file, both forms at once, a malformed ring.
    pub fn ring(&self) -> Result<MasterKeys, Malformed> {
        match secret("KEYWARD_MASTER_KEY", self.master_key.as_ref(), self.master_key_file.as_deref())? {
            Some(text) => MasterKeys::parse(text.reveal())
                .map_err(|reason| Malformed(format!("KEYWARD_MASTER_KEY is malformed: {reason}"))),
            None => Ok(MasterKeys::default()),
        }
    }
}

impl RedisSettings {
    /// The connection string of Redis, if one is set.
    ///
    /// # Errors
    /// An unreadable file, or both forms at once.
    pub fn url(&self) -> Result<Option<Secret>, Malformed> {
        secret("KEYWARD_REDIS_URL", self.redis_url.as_ref(), self.redis_url_file.as_deref())
    }

    /// Longest time that one request may wait for it.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.redis_timeout_ms)
    }
}

impl Settings {
    /// The root key that shall exist, if one is set.
    ///
    /// # Errors
    /// An unreadable file, both forms at once, a key that is too short to be a secret.
    pub fn bootstrap_root_key(&self, shortest: usize) -> Result<Option<Plaintext>, Malformed> {
        const NAME: &str = "KEYWARD_BOOTSTRAP_ROOT_KEY";
        const LONGEST: usize = 512;
        let Some(key) = secret(NAME, self.bootstrap_root_key.as_ref(), self.bootstrap_root_key_file.as_deref())? else {
            return Ok(None);
        };
        let well_formed = key.reveal().bytes().all(|byte| byte.is_ascii_graphic());
        if !well_formed || !(shortest..=LONGEST).contains(&key.reveal().len()) {
            return Err(Malformed(format!(
                "{NAME} must have {shortest} to {LONGEST} printable characters without blanks; `openssl rand -hex 32` makes a good one"
            )));
        }
        Ok(Some(Plaintext::new(key.reveal())))
    }

    /// The base of `error.type`, ending in a slash.
    #[must_use]
    pub fn error_docs_base(&self) -> String {
        format!("{}/", self.error_docs_url.trim_end_matches('/'))
    }

    /// How long usage is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention {
            events_days: self.events_retention_days,
            decisions_days: self.decisions_retention_days,
            hourly_days: self.usage_hourly_retention_days,
            daily_days: Some(self.usage_daily_retention_days).filter(|days| *days > 0),
        }
    }

    /// How long the audit log is kept, days; `None` is for ever.
    #[must_use]
    pub fn audit_retention_days(&self) -> Option<u32> {
        Some(self.audit_retention_days).filter(|days| *days > 0)
    }

    /// Bound of one request's stay in the store.
    #[must_use]
    pub fn database_timeout(&self) -> Duration {
        Duration::from_millis(self.database_timeout_ms)
    }
}

/// A span of time as people write it: `5s`, `500ms`, `1m`.
fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match text.strip_prefix(digits) {
        Some("ms") => 1,
        Some("s") => 1000,
        Some("m") => 60_000,
        Some(_) | None => return Err("expected a number with ms, s or m, like 5s".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_malformed| "expected a number with ms, s or m, like 5s".to_owned())?;
    match number.saturating_mul(unit_ms) {
        ms @ 0..=3_600_000 => Ok(Duration::from_millis(ms)),
        _ => Err("is longer than an hour".to_owned()),
    }
}

fn secret(name: &str, given: Option<&Secret>, file: Option<&Path>) -> Result<Option<Secret>, Malformed> {
    match (given, file) {
        (Some(_), Some(_)) => Err(Malformed(format!("{name} and {name}_FILE are both set: keep one of them"))),
        (Some(secret), None) if secret.0.trim().is_empty() => Ok(None),
        (Some(secret), None) => Ok(Some(Secret(secret.0.trim().to_owned()))),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Malformed(format!("{name}_FILE: cannot read {}: {error}", file.display())))?;
            match text.trim() {
                "" => Err(Malformed(format!("{name}_FILE: {} is empty", file.display()))),
                text => Ok(Some(Secret(text.to_owned()))),
            }
        }
        (None, None) => Ok(None),
    }
}

/// Environment variables that begin like Keyward's and are none: most likely misspelt, and then silently without effect.
///
/// # Errors
/// The variable, with the known one that is nearest to it.
pub fn refuse_unknown(known: &[String], present: impl Iterator<Item = String>) -> Result<(), Malformed> {
    for name in present.filter(|name| name.starts_with("KEYWARD_") && !name.starts_with("KEYWARD_TEST_")) {
        if !known.contains(&name) {
            let nearest = known.iter().min_by_key(|known| distance(known, &name));
            let hint = nearest.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
            return Err(Malformed(format!("unknown setting {name} in the environment{hint}")));
        }
    }
    Ok(())
}

/// How many letters have to be changed, added or left out to get from one name to the other (Levenshtein). The prefix
/// does not count, so that KEYWARD_DATABASE_URL is nearest to DATABASE_URL.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let bare = |name: &str| name.strip_prefix("KEYWARD_").unwrap_or(name).chars().collect::<Vec<_>>();
    let (a, b) = (bare(a), bare(b));
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, x) in a.iter().enumerate() {
        let mut left = row.saturating_add(1);
        let mut line = vec![left];
        for ((y, diagonal), up) in b.iter().zip(&above).zip(above.iter().skip(1)) {
            left = left.min(*up).saturating_add(1).min(diagonal.saturating_add(usize::from(x != y)));
            line.push(left);
        }
        above = line;
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Secret;
    use super::TrustedProxies;
    use super::refuse_unknown;
    use super::secret;

    #[test]
    fn a_misspelt_variable_is_refused_with_the_right_one() {
        let known = ["DATABASE_URL", "KEYWARD_DATA_DIR", "KEYWARD_LISTEN", "KEYWARD_LOG", "KEYWARD_LOG_FORMAT"];
        let known = known.map(ToOwned::to_owned);
        let check = |name: &str| refuse_unknown(&known, std::iter::once(name.to_owned()));
        assert!(check("KEYWARD_LISTEN").is_ok() && check("PATH").is_ok() && check("KEYWARD_TEST_X").is_ok());
        for (misspelt, right) in [
            ("KEYWARD_LOGFORMAT", "KEYWARD_LOG_FORMAT"),
            ("KEYWARD_LOGS", "KEYWARD_LOG"),
            ("KEYWARD_DATABASE_URL", "DATABASE_URL"),
            ("KEYWARD_LSITEN", "KEYWARD_LISTEN"),
        ] {
            let error = check(misspelt).unwrap_err().0;
            assert!(error.contains(misspelt) && error.ends_with(&format!(" {right}?")), "{error}");
        }
    }

    #[test]
    fn a_secret_comes_from_one_place() {
        let given = Secret::new("x\n");
        assert_eq!(secret("N", Some(&given), None).unwrap(), Some(Secret::new("x")));
        assert!(secret("N", Some(&given), Some("y".as_ref())).unwrap_err().0.contains("N_FILE"));
        assert!(secret("N", None, Some("/nonexistent/file".as_ref())).unwrap_err().0.contains("N_FILE"));
        assert!(!format!("{given:?}").contains('x'));
    }

    #[test]
    fn malformed_proxies_are_refused() {
        assert!("10.0.0.0/8, ::1".parse::<TrustedProxies>().is_ok());
        assert!("10.0.0.0/8,proxy".parse::<TrustedProxies>().unwrap_err().contains("entry 2"));
    }
}
