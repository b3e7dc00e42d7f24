//! What is counted for `/metrics`. Labels are operations, codes and outcomes; never a key, an identity or an address.

use crate::config::OnError;
use crate::model::verdict::Outcome;
use prometheus::Encoder;
use prometheus::Gauge;
use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::HistogramVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;
use prometheus::TextEncoder;
use prometheus::core::Collector;
use std::time::Duration;

/// Upper bounds of the latency histogram, seconds: fine where verification is, coarse where trouble is.
const LATENCY_S: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Upper bounds of the histogram of batches, spends.
const BATCH: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0, 2048.0];

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    verifications: IntCounterVec,
    /// The series of `verifications`, found once; the most frequent one first.
    outcomes: Vec<(Outcome, IntCounter)>,
    connections: IntGaugeVec,
    hanging: IntGaugeVec,
    /// What the ledger counts.
    pub ledger: LedgerMetrics,
    fallbacks: IntCounterVec,
    counters: IntGauge,
    evictions: IntCounter,
    redis_errors: IntCounter,
    nodes: IntGauge,
    uncoordinated: IntGauge,
    events: EventCounters,
    events_waiting: IntGauge,
    audit_unsealed: IntGauge,
    audit_lag: Gauge,
    decisions: DecisionCounters,
    decisions_waiting: IntGauge,
    cache_entries: IntGaugeVec,
    cache_lookups: IntCounterVec,
    cache_staleness: Gauge,
    cache_trusted: IntGauge,
}

/// What the cache says of itself.
#[derive(Clone, Copy, Debug)]
pub struct CacheState {
    /// Keys that are remembered.
    pub keys: u64,
    /// Texts of which it is remembered that they are no key.
    pub absent: u64,
    /// Root keys that are remembered.
    pub root_keys: u64,
    /// Answers that were remembered, ever.
    pub hits: u64,
    /// Answers that the database had to give, ever.
    pub misses: u64,
    /// How old the proof is that every change has arrived; `None` if there never was one.
    pub staleness: Option<Duration>,
    /// Whether what is remembered is used.
    pub trusted: bool,
}

/// What the ledger counts: how well spends share commits, and whether they pile up.
#[derive(Clone, Debug)]
pub struct LedgerMetrics {
    /// Spends a commit.
    pub batch: Histogram,
    /// Seconds that a commit took.
    pub commit: Histogram,
    /// Spends that wait for their commit to begin.
    pub queued: IntGauge,
    /// Spends that were refused because too many waited.
    pub refused: IntCounter,
}

impl LedgerMetrics {
    fn new() -> Result<Self, prometheus::Error> {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
        };
        Ok(Self {
            batch: histogram("keyward_ledger_batch_size", "Spends of credits that shared a commit", &BATCH)?,
            commit: histogram("keyward_ledger_commit_seconds", "Time of a commit of spends", &LATENCY_S)?,
            queued: IntGauge::new("keyward_ledger_queue_length", "Spends that wait for their commit to begin")?,
            refused: IntCounter::new("keyward_ledger_refused_total", "Spends refused because too many waited")?,
        })
    }

    fn collectors(&self) -> [Box<dyn Collector>; 4] {
        [
            Box::new(self.batch.clone()),
            Box::new(self.commit.clone()),
            Box::new(self.queued.clone()),
            Box::new(self.refused.clone()),
        ]
    }
}

/// What a limiter says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimiterState {
    /// Counters in memory.
    pub counters: u64,
    /// Counters that memory has forgotten since nothing of them counted any more, ever.
    pub evicted: u64,
    /// Calls that Redis did not answer as it should, ever.
    pub redis_errors: u64,
}

/// What becomes of events of verifications.
#[derive(Clone, Debug)]
pub struct EventCounters {
    /// They are in the database.
    pub written: IntCounter,
    /// There was no room for them in the queue.
    pub dropped: IntCounter,
}

/// What is counted of an operation's successes, found once: finding it costs more than counting.
#[derive(Debug)]
pub struct Served {
    requests: IntCounter,
    latency: Histogram,
}

impl Served {
    /// Counts one.
    pub fn count(&self, took: Duration) {
        self.requests.inc();
        self.latency.observe(took.as_secs_f64());
    }
}

/// What becomes of denials.
#[derive(Clone, Debug)]
pub struct DecisionCounters {
    /// Their records are in the database.
    pub recorded: IntCounter,
    /// There was no room for another record.
    pub dropped_records: IntCounter,
    /// They are counted in a record that is not found by their request.
    pub dropped_requests: IntCounter,
}

impl DecisionCounters {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let dropped = IntCounterVec::new(
            Opts::new(
                "keyward_decisions_dropped_total",
                "Denials that were lost: whole ones, or only the request that their record would be found by",
            ),
            &["what"],
        )?;
        let recorded = IntCounter::new("keyward_decisions_recorded_total", "Records of denials that were stored")?;
        registry.register(Box::new(dropped.clone()))?;
        registry.register(Box::new(recorded.clone()))?;
        Ok(Self {
            recorded,
            dropped_records: dropped.with_label_values(&["record"]),
            dropped_requests: dropped.with_label_values(&["request"]),
        })
    }
}

impl Metrics {
    /// Registers all metrics; every outcome is there from the start, with 0.
    ///
    /// # Errors
    /// Two metrics of one name: a bug.
    #[expect(clippy::too_many_lines, reason = "a list of metrics, each in its few lines")]
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let mut metrics = Self {
            decisions: DecisionCounters::register(&registry)?,
            decisions_waiting: IntGauge::new("keyward_decisions_waiting", "Records of denials that wait to be stored")?,
            registry,
            requests: IntCounterVec::new(
                Opts::new("keyward_requests_total", "Answered requests by operation, status and error code"),
                &["operation", "status", "code"],
            )?,
            latency: HistogramVec::new(
                HistogramOpts::new("keyward_request_duration_seconds", "Time from the request's head to its answer")
                    .buckets(LATENCY_S.to_vec()),
                &["operation"],
            )?,
            verifications: IntCounterVec::new(
                Opts::new("keyward_verifications_total", "Verifications by outcome"),
                &["outcome"],
            )?,
            outcomes: Vec::new(),
            connections: IntGaugeVec::new(
                Opts::new("keyward_database_connections", "Connections of the pool by state"),
                &["state"],
            )?,
            hanging: IntGaugeVec::new(
                Opts::new(
                    "keyward_database_hanging",
                    "Connections that were given up since the database was silent on them, and that a thread still waits on",
                ),
                &["user"],
            )?,
            ledger: LedgerMetrics::new()?,
            fallbacks: IntCounterVec::new(
                Opts::new(
                    "keyward_ratelimit_fallbacks_total",
                    "Rate limits that could not be counted, by what KEYWARD_RATELIMIT_ON_ERROR decided",
                ),
                &["decision"],
            )?,
            counters: IntGauge::new("keyward_ratelimit_counters", "Rate-limit counters in memory")?,
            evictions: IntCounter::new(
                "keyward_ratelimit_evictions_total",
                "Rate-limit counters in memory that were forgotten since nothing of them counted any more",
            )?,
            redis_errors: IntCounter::new(
                "keyward_redis_errors_total",
                "Calls that Redis did not answer in time, or not as it should",
            )?,
            nodes: IntGauge::new("keyward_nodes", "Servers that live on the database, this one included")?,
            uncoordinated: IntGauge::new(
                "keyward_ratelimits_uncoordinated",
                "1 if other servers use the database and this one counts rate limits for itself",
            )?,
            events: EventCounters {
                written: IntCounter::new("keyward_events_written_total", "Events of verifications that were stored")?,
                dropped: IntCounter::new(
                    "keyward_events_dropped_total",
                    "Events of verifications that were lost because the queue was full",
                )?,
            },
            audit_unsealed: IntGauge::new(
                "keyward_audit_unsealed_rows",
                "Rows of the audit log that wait to be sealed; 10000 is that many or more",
            )?,
            audit_lag: Gauge::new(
                "keyward_audit_unsealed_seconds",
                "Age of the oldest row of the audit log that waits to be sealed, 0 if none does",
            )?,
            cache_entries: IntGaugeVec::new(
                Opts::new("keyward_cache_entries", "What is remembered, by kind: keys, texts that are none, root keys"),
                &["kind"],
            )?,
            cache_lookups: IntCounterVec::new(
                Opts::new("keyward_cache_lookups_total", "Lookups of keys and root keys, by result"),
                &["result"],
            )?,
            cache_staleness: Gauge::new(
                "keyward_cache_staleness_seconds",
                "Age of the proof that every change was heard of; -1 if there never was one",
            )?,
            cache_trusted: IntGauge::new("keyward_cache_trusted", "1 if what is remembered is used")?,
            events_waiting: IntGauge::new("keyward_events_waiting", "Events of verifications that wait to be stored")?,
        };
        metrics.ledger.collectors().into_iter().try_for_each(|collector| metrics.registry.register(collector))?;
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.latency.clone()))?;
        metrics.registry.register(Box::new(metrics.verifications.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.clone()))?;
        metrics.registry.register(Box::new(metrics.hanging.clone()))?;
        metrics.registry.register(Box::new(metrics.fallbacks.clone()))?;
        metrics.registry.register(Box::new(metrics.counters.clone()))?;
        metrics.registry.register(Box::new(metrics.evictions.clone()))?;
        metrics.registry.register(Box::new(metrics.redis_errors.clone()))?;
        metrics.registry.register(Box::new(metrics.nodes.clone()))?;
        metrics.registry.register(Box::new(metrics.uncoordinated.clone()))?;
        for decision in [OnError::Allow, OnError::Deny] {
            metrics.fallbacks.with_label_values(&[decision.name()]).inc_by(0);
        }
        metrics.registry.register(Box::new(metrics.events.written.clone()))?;
        metrics.registry.register(Box::new(metrics.events.dropped.clone()))?;
        metrics.registry.register(Box::new(metrics.events_waiting.clone()))?;
        metrics.registry.register(Box::new(metrics.audit_unsealed.clone()))?;
        metrics.registry.register(Box::new(metrics.audit_lag.clone()))?;
        metrics.registry.register(Box::new(metrics.decisions_waiting.clone()))?;
        metrics.registry.register(Box::new(metrics.cache_entries.clone()))?;
        metrics.registry.register(Box::new(metrics.cache_lookups.clone()))?;
        metrics.registry.register(Box::new(metrics.cache_staleness.clone()))?;
        metrics.registry.register(Box::new(metrics.cache_trusted.clone()))?;
        let series = |outcome: &Outcome| (*outcome, metrics.verifications.with_label_values(&[outcome.code()]));
        metrics.outcomes = Outcome::ALL.iter().map(series).collect();
        Ok(metrics)
    }

    /// Counts an answered request. `code` is the error code's path, empty for a success.
    pub fn request(&self, operation: &str, status: u16, code: &str, took: Duration) {
        self.requests.with_label_values(&[operation, &status.to_string(), code]).inc();
        self.latency.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    /// What is counted of the successes of an operation.
    #[must_use]
    pub fn served(&self, operation: &str) -> Served {
        Served {
            requests: self.requests.with_label_values(&[operation, "200", ""]),
            latency: self.latency.with_label_values(&[operation]),
        }
    }

    /// Counts a verification.
    pub fn verification(&self, outcome: Outcome) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(known, _)| *known == outcome) {
            counter.inc();
        }
    }

    /// Counts what becomes of events.
    #[must_use]
    pub fn events(&self) -> EventCounters {
        self.events.clone()
    }

    /// Notes how many events wait.
    pub fn events_waiting(&self, count: usize) {
        self.events_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts what becomes of denials.
    #[must_use]
    pub fn decisions(&self) -> DecisionCounters {
        self.decisions.clone()
    }

    /// Notes how many records of denials wait.
    pub fn decisions_waiting(&self, count: usize) {
        self.decisions_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Notes what the pool is doing.
    pub fn pool(&self, open: usize, idle: usize) {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.connections.with_label_values(&["idle"]).set(number(idle));
        self.connections.with_label_values(&["busy"]).set(number(open.saturating_sub(idle)));
    }

    /// Notes on how many connections somebody waits for what will never come.
    pub fn hanging(&self, user: &str, count: usize) {
        self.hanging.with_label_values(&[user]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a rate limit that could not be counted, and was decided as the operator has chosen.
    pub fn ratelimit_fallback(&self, decision: OnError) {
        self.fallbacks.with_label_values(&[decision.name()]).inc();
    }

    /// Notes what the limiter says of itself. One task does so, or counts are added twice.
    pub fn limiter(&self, state: &LimiterState) {
        self.counters.set(i64::try_from(state.counters).unwrap_or(i64::MAX));
        self.evictions.inc_by(state.evicted.saturating_sub(self.evictions.get()));
        self.redis_errors.inc_by(state.redis_errors.saturating_sub(self.redis_errors.get()));
    }

    /// Notes how many rows of the audit log wait to be sealed, and for how long the oldest has.
    pub fn audit_unsealed(&self, rows: i64, age: Duration) {
        self.audit_unsealed.set(rows);
        self.audit_lag.set(age.as_secs_f64());
    }

    /// Notes what the cache says of itself.
    pub fn cache(&self, state: &CacheState) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for (kind, count) in [("keys", state.keys), ("absent", state.absent), ("root_keys", state.root_keys)] {
            self.cache_entries.with_label_values(&[kind]).set(number(count));
        }
        for (result, count) in [("hit", state.hits), ("miss", state.misses)] {
            let counter = self.cache_lookups.with_label_values(&[result]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.cache_staleness.set(state.staleness.map_or(-1.0, |staleness| staleness.as_secs_f64()));
        self.cache_trusted.set(i64::from(state.trusted));
    }

    /// Notes how many servers live, and whether each counts rate limits for itself.
    pub fn nodes(&self, live: i64, uncoordinated: bool) {
        self.nodes.set(live);
        self.uncoordinated.set(i64::from(uncoordinated));
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// Only a broken encoder.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
