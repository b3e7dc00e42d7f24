//! Waiting for what happens in the background.

use std::time::Duration;
use std::time::Instant;

/// Asks again and again, for ten seconds at most, until there is an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        #[expect(clippy::disallowed_methods, reason = "a background task is waited for, and the wait is bounded")]
        std::thread::sleep(Duration::from_millis(50));
    }
}
