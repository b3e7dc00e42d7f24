//! The sliding window of the contract, approximated by two aligned ones (ratelimit.md "Decision"). Pure.
#![deny(clippy::arithmetic_side_effects)]

/// The longest window that is told from a longer one: 2^43 milliseconds, 278 years.
pub const MAX_DURATION_MS: u64 = 1 << 43;

/// Most tokens that one window counts, 2^53 − 1: what is exact in the numbers of Redis' scripts, and in JSON. Under a greater
/// limit nobody takes more than this in a window.
pub const MAX_TOKENS: u64 = (1 << 53) - 1;

/// What a counter knows: how many tokens were taken in one aligned window and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Number of the window since the epoch: `floor(now / duration)`.
    pub sequence: u64,
    /// Tokens taken in it, [`MAX_TOKENS`] at most.
    pub current: u64,
    /// Tokens taken in the one before, [`MAX_TOKENS`] at most.
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

/// A moment as the windows of one length see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Number of the window that it falls into.
    pub sequence: u64,
    /// Milliseconds until that window ends, 1 or more.
    pub left_ms: u64,
    /// Length of the window, milliseconds, 1 to [`MAX_DURATION_MS`].
    pub duration_ms: u64,
}

impl Moment {
    /// `now_ms` in windows of this length. A length outside the bounds is taken to the nearest one inside.
    #[must_use]
    pub fn of(now_ms: u64, duration_ms: u64) -> Self {
        let duration_ms = duration_ms.clamp(1, MAX_DURATION_MS);
        let sequence = now_ms.checked_div(duration_ms).unwrap_or(0);
        let elapsed = now_ms.checked_rem(duration_ms).unwrap_or(0);
        Self { sequence, left_ms: duration_ms.saturating_sub(elapsed), duration_ms }
    }
}

impl Window {
    /// The counter as it stands at `now_ms`. A clock that lags behind what another one has written reads the beginning of
    /// the window that was written.
    #[must_use]
    pub fn read(self, now_ms: u64, duration_ms: u64) -> Reading {
        let moment = Moment::of(now_ms, duration_ms);
        let (window, left) = if moment.sequence < self.sequence {
            (self, moment.duration_ms)
        } else {
            (self.rolled_to(moment.sequence), moment.left_ms)
        };
        // previous × left / duration, without rounding before the end and without overflow.
        let product = u128::from(window.previous).saturating_mul(u128::from(left));
        let weighed = product.checked_div(u128::from(moment.duration_ms));
        let weighed = weighed.and_then(|tokens| u64::try_from(tokens).ok()).unwrap_or(u64::MAX);
        Reading::new(window, weighed, moment.duration_ms)
    }

    /// The counter in a later window.
    fn rolled_to(self, sequence: u64) -> Self {
        match sequence.saturating_sub(self.sequence) {
            0 => self,
            1 => Self { sequence, current: 0, previous: self.current },
            _ => Self { sequence, current: 0, previous: 0 },
        }
    }

    /// The counter with what a call took at `taken_ms` given back. Tokens of a window that is gone are gone with it.
    ///
    /// A call whose clock lagged took from the window after that of its clock; giving back to the one before it leaves more
    /// counted than was taken, never less.
    #[must_use]
    pub fn given_back(self, taken_ms: u64, duration_ms: u64, cost: u64) -> Self {
        match self.sequence.checked_sub(Moment::of(taken_ms, duration_ms).sequence) {
            Some(0) => Self { current: self.current.saturating_sub(cost), ..self },
            Some(1) => Self { previous: self.previous.saturating_sub(cost), ..self },
            Some(_) | None => self,
        }
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
    /// A counter, of whose window before `weighed` tokens still count.
    #[must_use]
    pub fn new(window: Window, weighed: u64, duration_ms: u64) -> Self {
        let reset_ms = window.sequence.saturating_add(1).saturating_mul(duration_ms.clamp(1, MAX_DURATION_MS));
        Self { window, used: window.current.saturating_add(weighed), reset_ms }
    }

    /// Whether `cost` more tokens fit under `limit`. Nothing fits under a limit of 0, not even nothing.
    #[must_use]
    pub fn admits(&self, limit: u64, cost: u64) -> bool {
        limit > 0 && self.used.checked_add(cost).is_some_and(|used| used <= limit.min(MAX_TOKENS))
    }

    /// The counter with `cost` tokens taken that [`Self::admits`] admitted.
    #[must_use]
    pub fn taking(&self, cost: u64) -> Window {
        Window { current: self.window.current.saturating_add(cost).min(MAX_TOKENS), ..self.window }
    }
}

#[cfg(test)]
mod tests;
