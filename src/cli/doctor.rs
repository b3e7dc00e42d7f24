//! `keyward doctor`: checks what a server needs, and says what to do.

use crate::app::CONNECTIONS_BESIDE_THE_POOL;
use crate::cli::database::Opened;
use crate::cli::database::Reach;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::config::Settings;
use crate::domain::master_keys;
use crate::domain::root_keys;
use crate::domain::root_keys::MIN_BOOTSTRAP_LENGTH;
use crate::limiter::redis;
use crate::model::clock::Clock;
use crate::model::master_key::MasterKeys;
use crate::store::database;
use crate::store::health;
use crate::store::migrations;
use crate::store::nodes;
use clap::Args;
use serde::Serialize;

/// Clocks that differ by more than this make keys end early or late, milliseconds.
const MAX_SKEW_MS: i64 = 1000;

/// Check settings, database, migrations, clock and master key, and say what to do
#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Failed,
}

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    detail: String,
}

impl Finding {
    fn of(check: &'static str, level: Level, detail: impl Into<String>) -> Self {
        Self { check, level, detail: detail.into() }
    }
}

impl Doctor {
    /// Checks everything; what fails does not keep the rest from being checked.
    ///
    /// # Errors
    /// At least one check failed.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        let (ring, mut findings) = check_settings(&self.settings);
        match reach.open() {
            Ok(opened) => findings.extend(check_database(&opened, &ring, &self.settings)),
            Err(failure) => findings.push(Finding::of("database", Level::Failed, message(&failure))),
        }
        findings.extend(check_redis(&self.settings));
        out.data(&findings, || {
            let line = |finding: &Finding| {
                let mark = match finding.level {
                    Level::Ok => "ok     ",
                    Level::Warning => "warning",
                    Level::Failed => "FAILED ",
                };
                format!("{mark}  {:<11} {}", finding.check, finding.detail)
            };
            findings.iter().map(line).collect::<Vec<_>>().join("\n")
        })?;
        match findings.iter().filter(|finding| finding.level == Level::Failed).count() {
            0 => Ok(()),
            failed => Err(Failure::failed(format!("{failed} checks failed"))),
        }
    }
}

fn check_settings(settings: &Settings) -> (MasterKeys, Vec<Finding>) {
    let mut findings = Vec::new();
    findings.push(match settings.bootstrap_root_key(MIN_BOOTSTRAP_LENGTH) {
        Ok(_) => Finding::of("settings", Level::Ok, "all settings are known and well-formed"),
        Err(malformed) => Finding::of("settings", Level::Failed, malformed.0),
    });
    let ring = settings.master_key.ring().unwrap_or_else(|malformed| {
        findings.push(Finding::of("master key", Level::Failed, malformed.0));
        MasterKeys::default()
    });
    (ring, findings)
}

fn check_database(opened: &Opened, ring: &MasterKeys, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A pool would try again for long; one connection says at once why there is none.
    let reached = database::connect(opened.url.reveal()).map_err(Failure::from);
    let health = match reached.and_then(|_connection| opened.read(health::ask)) {
        Ok(health) => health,
        Err(failure) => return vec![Finding::of("database", Level::Failed, message(&failure))],
    };
    let local = Clock::system().now();
    findings.push(Finding::of("database", Level::Ok, format!("Postgres {} answers", health.version)));
    findings.push(if health.fsync == "on" && health.synchronous_commit != "off" {
        Finding::of("durability", Level::Ok, "what was acknowledged survives a crash")
    } else {
        let detail = format!(
            "fsync is {} and synchronous_commit is {}: a crash of the database loses acknowledged writes; set both to on",
            health.fsync, health.synchronous_commit
        );
        Finding::of("durability", Level::Warning, detail)
    });
    let needed = settings.database_connections.saturating_add(CONNECTIONS_BESIDE_THE_POOL);
    if let Some(most) = health.max_connections.parse::<u32>().ok().filter(|most| *most < needed) {
        let detail = format!(
            "Postgres takes {most} connections and a server wants {needed}: KEYWARD_DATABASE_CONNECTIONS, which is {}, and \
             {CONNECTIONS_BESIDE_THE_POOL} more",
            settings.database_connections
        );
        findings.push(Finding::of("connections", Level::Warning, detail));
    }
    let skew = (health.now - local).num_milliseconds();
    findings.push(if skew.abs() <= MAX_SKEW_MS {
        Finding::of("clock", Level::Ok, "agrees with the database's to within a second")
    } else {
        Finding::of(
            "clock",
            Level::Warning,
            format!("differs from the database's by {skew} ms: synchronise both with NTP"),
        )
    });
    let (migrated, finding) = check_migrations(opened);
    findings.push(finding);
    if migrated {
        findings.push(check_master_keys(opened, ring));
        findings.push(check_root_keys(opened));
        findings.push(check_nodes(opened));
    }
    findings
}

fn check_migrations(opened: &Opened) -> (bool, Finding) {
    let pending = database::connect(opened.url.reveal()).map_err(Failure::from).and_then(|mut connection| {
        migrations::refuse_newer(&mut connection)?;
        Ok(migrations::pending(&mut connection)?)
    });
    match pending {
        Ok(pending) if pending.is_empty() => (true, Finding::of("migrations", Level::Ok, "the database is up to date")),
        Ok(pending) => {
            let detail = format!("{} are pending: run `keyward migrate`", pending.join(", "));
            (false, Finding::of("migrations", Level::Failed, detail))
        }
        Err(failure) => (false, Finding::of("migrations", Level::Failed, message(&failure))),
    }
}

fn check_master_keys(opened: &Opened, ring: &MasterKeys) -> Finding {
    const CHECK: &str = "master key";
    let in_use = match opened.read(master_keys::in_use) {
        Ok(in_use) => in_use,
        Err(failure) => return Finding::of(CHECK, Level::Failed, message(&failure)),
    };
    let absent: Vec<_> = in_use
        .iter()
        .filter(|(id, _)| !ring.ids().any(|known| known == id))
        .map(|(id, count)| format!("{id} ({count} keys)"))
        .collect();
    if !absent.is_empty() {
        let detail = format!(
            "recoverable keys are sealed under master keys that are not configured: {}; add them to KEYWARD_MASTER_KEY",
            absent.join(", ")
        );
        return Finding::of(CHECK, Level::Failed, detail);
    }
    match ring.sealing_id() {
        Some(id) => Finding::of(CHECK, Level::Ok, format!("recoverable keys are sealed under {id}")),
        None => Finding::of(
            CHECK,
            Level::Ok,
            "none is configured, so no key can be made recoverable (`keyward master-key generate`)",
        ),
    }
}

fn check_root_keys(opened: &Opened) -> Finding {
    match opened.read(|tx| root_keys::list(tx, None)) {
        Ok(root_keys) if root_keys.is_empty() => Finding::of(
            "root keys",
            Level::Warning,
            "there is none: mint one with `keyward workspace create` and `keyward root-key create`, or set KEYWARD_BOOTSTRAP_ROOT_KEY",
        ),
        Ok(root_keys) => Finding::of("root keys", Level::Ok, format!("{} are live", root_keys.len())),
        Err(failure) => Finding::of("root keys", Level::Failed, message(&failure)),
    }
}

fn check_nodes(opened: &Opened) -> Finding {
    const CHECK: &str = "rate limits";
    match opened.read(|tx| Ok(nodes::limiters(tx)?)) {
        Ok(live) if live.len() > 1 && live.iter().any(|limiter| limiter == "memory") => {
            let detail = format!(
                "{} servers use this database, and not all of them count rate limits in Redis: set KEYWARD_REDIS_URL on each, \
                 or they admit more than the limits say",
                live.len()
            );
            Finding::of(CHECK, Level::Warning, detail)
        }
        Ok(live) => Finding::of(CHECK, Level::Ok, format!("{} servers live, and their limits are exact", live.len())),
        Err(failure) => Finding::of(CHECK, Level::Failed, message(&failure)),
    }
}

fn check_redis(settings: &Settings) -> Option<Finding> {
    const CHECK: &str = "redis";
    let url = match settings.redis.url() {
        Ok(url) => url?,
        Err(malformed) => return Some(Finding::of(CHECK, Level::Failed, malformed.0)),
    };
    Some(match redis::probe(url.reveal(), settings.redis.timeout()) {
        Ok(redis) => match redis.eviction.filter(|policy| policy != "noeviction") {
            Some(policy) => {
                let detail = format!(
                    "Redis {} answers, and forgets keys when its memory is full (maxmemory-policy is {policy}): rate limits then \
                     admit too much; set it to noeviction",
                    redis.version
                );
                Finding::of(CHECK, Level::Warning, detail)
            }
            None => Finding::of(CHECK, Level::Ok, format!("Redis {} answers", redis.version)),
        },
        Err(reason) => Finding::of(CHECK, Level::Failed, format!("KEYWARD_REDIS_URL: {reason}")),
    })
}

fn message(failure: &Failure) -> String {
    failure.message().to_owned()
}
