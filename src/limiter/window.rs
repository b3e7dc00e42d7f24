//! The sliding window of the contract, approximated by two aligned ones (ratelimit.md "Decision"). Pure.
#![deny(clippy::arithmetic_side_effects)]

/// The longest window that is told from a longer one: 2^43 milliseconds, 278 years.
pub const MAX_DURATION_MS: u64 = 1 << 43;

/// What a counter knows: how many tokens were taken in one aligned window and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Number of the window since the epoch: `floor(now / duration)`.
    pub sequence: u64,
    /// Tokens taken in it.
    pub current: u64,
    /// Tokens taken in the one before.
    pub previous: u64,
}

/// A counter at one moment: what of it counts, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The counter, rolled on to the window of the moment.
    pub window: Window,
    /// Tokens that count: those of the window, and of the one before as far as it still weighs in.
    pub used: u64,
    /// End of the window, Unix milliseconds.
    pub reset_ms: u64,
}

impl Window {
    /// The counter as it stands at `now_ms`. A clock that lags behind what another one has written reads the beginning of
    /// the window that was written.
    #[must_use]
    pub fn read(self, now_ms: u64, duration_ms: u64) -> Reading {
        let duration = duration_ms.clamp(1, MAX_DURATION_MS);
        let sequence = now_ms.checked_div(duration).unwrap_or(0).max(self.sequence);
        let window = match sequence.saturating_sub(self.sequence) {
            0 => self,
            1 => Self { sequence, current: 0, previous: self.current },
            _ => Self { sequence, current: 0, previous: 0 },
        };
        let start = sequence.saturating_mul(duration);
        let left = duration.saturating_sub(now_ms.saturating_sub(start).min(duration));
        // previous × left / duration, without rounding before the end and without overflow.
        let weighed = u128::from(window.previous).saturating_mul(u128::from(left)).checked_div(u128::from(duration));
        let weighed = weighed.and_then(|tokens| u64::try_from(tokens).ok()).unwrap_or(u64::MAX);
        Reading { window, used: window.current.saturating_add(weighed), reset_ms: start.saturating_add(duration) }
    }

    /// Whether nothing of it counts any more.
    #[must_use]
    pub fn is_idle(self, now_ms: u64, duration_ms: u64) -> bool {
        now_ms >= self.worthless_ms(duration_ms)
    }

    /// The moment from which on nothing of it counts, Unix milliseconds.
    #[must_use]
    pub fn worthless_ms(self, duration_ms: u64) -> u64 {
        self.sequence.saturating_add(2).saturating_mul(duration_ms.clamp(1, MAX_DURATION_MS))
    }
}

impl Reading {
    /// Whether `cost` more tokens fit under `limit`. Nothing fits under a limit of 0, not even nothing.
    #[must_use]
    pub fn admits(&self, limit: u64, cost: u64) -> bool {
        limit > 0 && self.used.checked_add(cost).is_some_and(|used| used <= limit)
    }
}
