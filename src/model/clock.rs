//! The only place that asks what time it is. Tests start servers whose clock they move.

use chrono::DateTime;
use chrono::Duration;
use chrono::Utc;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

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
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = Utc::now() + Duration::milliseconds(self.ahead_ms.load(Ordering::Relaxed));
        DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }

    /// Moves this clock, and every clone of it, forwards (or back, if negative).
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }
}
