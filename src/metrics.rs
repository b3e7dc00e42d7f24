//! What is counted for `/metrics`. Labels are operations, codes and outcomes; never a key, an identity or an address.

use crate::model::verdict::Outcome;
use prometheus::Encoder;
use prometheus::HistogramOpts;
use prometheus::HistogramVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;
use prometheus::TextEncoder;
use std::time::Duration;

/// Upper bounds of the latency histogram, seconds: fine where verification is, coarse where trouble is.
const LATENCY_S: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    verifications: IntCounterVec,
    connections: IntGaugeVec,
    events: EventCounters,
    events_waiting: IntGauge,
}

/// What becomes of events of verifications.
#[derive(Clone, Debug)]
pub struct EventCounters {
    /// They are in the database.
    pub written: IntCounter,
    /// There was no room for them in the queue.
    pub dropped: IntCounter,
}

impl Metrics {
    /// Registers all metrics; every outcome is there from the start, with 0.
    ///
    /// # Errors
    /// Two metrics of one name: a bug.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
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
            connections: IntGaugeVec::new(
                Opts::new("keyward_database_connections", "Connections of the pool by state"),
                &["state"],
            )?,
            events: EventCounters {
                written: IntCounter::new("keyward_events_written_total", "Events of verifications that were stored")?,
                dropped: IntCounter::new(
                    "keyward_events_dropped_total",
                    "Events of verifications that were lost because the queue was full",
                )?,
            },
            events_waiting: IntGauge::new("keyward_events_waiting", "Events of verifications that wait to be stored")?,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.latency.clone()))?;
        metrics.registry.register(Box::new(metrics.verifications.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.clone()))?;
        metrics.registry.register(Box::new(metrics.events.written.clone()))?;
        metrics.registry.register(Box::new(metrics.events.dropped.clone()))?;
        metrics.registry.register(Box::new(metrics.events_waiting.clone()))?;
        for outcome in Outcome::ALL {
            metrics.verifications.with_label_values(&[outcome.code()]).inc_by(0);
        }
        Ok(metrics)
    }

    /// Counts an answered request. `code` is the error code's path, empty for a success.
    pub fn request(&self, operation: &str, status: u16, code: &str, took: Duration) {
        self.requests.with_label_values(&[operation, &status.to_string(), code]).inc();
        self.latency.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    /// Counts a verification.
    pub fn verification(&self, outcome: Outcome) {
        self.verifications.with_label_values(&[outcome.code()]).inc();
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

    /// Notes what the pool is doing.
    pub fn pool(&self, open: u32, idle: u32) {
        self.connections.with_label_values(&["idle"]).set(i64::from(idle));
        self.connections.with_label_values(&["busy"]).set(i64::from(open.saturating_sub(idle)));
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
