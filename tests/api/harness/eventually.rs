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

/// How soon every node knows of a change that another one has made.
const SOON: Duration = Duration::from_secs(2);

/// Asks again and again until the answer is the expected one, for as long as a change may take to every node.
#[track_caller]
pub fn soon<T: PartialEq + std::fmt::Debug>(expected: T, mut ask: impl FnMut() -> T) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = ask();
        if found == expected || Instant::now() > deadline {
            assert_eq!(found, expected, "within {} ms", SOON.as_millis());
            return;
        }
    }
}
