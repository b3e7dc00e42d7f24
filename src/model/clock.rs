//! The only place that asks what time it is. Tests start servers whose clock they move.

use chrono::DateTime;
use chrono::Duration;
use chrono::Utc;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// A moment, whole milliseconds.
pub type Timestamp = DateTime<Utc>;

/// Where a process gets the time from.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds that this clock is ahead of the system's; moved by tests only.
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Now, cut to the millisecond: what is stored, shown and compared is the same number.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // Straight from the system's seconds: by way of the calendar it takes twice as long.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        DateTime::from_timestamp_millis(ms.saturating_add(self.ahead_ms.load(Ordering::Relaxed))).unwrap_or_default()
    }

    /// Moves this clock, and every clone of it, forwards (or back, if negative).
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}
