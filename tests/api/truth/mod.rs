//! Truth tests: random worlds and random denials, over HTTP. What an explanation says is tried out: granting what it calls
//! missing lets the same request pass, leaving any of it out does not, and every link that it names is what gives a permission.

mod calls;
mod keys;
mod random;
mod unknown;

use crate::harness::Client;
use crate::truth::random::Random;
use serde_json::Value;
use serde_json::json;
use std::fmt;

/// Seeds of one run: those of the variable `KEYWARD_TEST_SEED`, or these and one of the clock's.
#[expect(clippy::disallowed_methods, reason = "this is no setting of the server")]
fn seeds(some: &[u64]) -> Vec<u64> {
    if let Ok(seed) = std::env::var("KEYWARD_TEST_SEED") {
        return vec![seed.parse().unwrap()];
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let fresh = u64::try_from(now.as_nanos() & u128::from(u32::MAX)).unwrap();
    some.iter().copied().chain([fresh]).collect()
}

/// Runs a test for each seed, side by side; a failure says which one it was.
fn for_each_seed(some: &[u64], test: impl Fn(Random) + Sync) {
    let test = &test;
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            seeds(some).into_iter().map(|seed| (seed, scope.spawn(move || test(Random::new(seed))))).collect();
        for (seed, run) in runs {
            assert!(run.join().is_ok(), "failed with KEYWARD_TEST_SEED={seed}");
        }
    });
}

/// Strings of a JSON array.
fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// `decisions.explain`.
fn explain(reader: &Client, request_id: &str) -> Value {
    reader.ok("decisions.explain", json!({"requestId": request_id}))
}

/// All of a list but one.
fn without<T: Clone>(all: &[T], index: usize) -> Vec<T> {
    all.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, one)| one.clone()).collect()
}

/// A failed expectation with all that it is about.
#[track_caller]
fn ensure(holds: bool, what: &str, about: &[&dyn fmt::Debug]) {
    assert!(holds, "{what}: {about:#?}");
}
