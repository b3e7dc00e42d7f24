//! Credits under concurrency and faults: never more than the balance, never VALID for what is not durable.
//!
//! The rounds are few by default; `KEYWARD_TEST_ROUNDS` makes them many (`make soak`).

mod concurrent;
mod frozen;
mod killed;
mod ledger;
mod linear;
mod restarted;

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use serde_json::Value;
use serde_json::json;

/// How many rounds a test shall have.
fn rounds(short: usize) -> usize {
    let asked = std::env::var_os("KEYWARD_TEST_ROUNDS");
    asked.map_or(short, |rounds| rounds.to_str().unwrap().parse().expect("KEYWARD_TEST_ROUNDS is a number"))
}

/// A key with a balance, and a daily refill if an amount is given.
fn limited(world: &World<'_>, remaining: i64, refill_amount: Option<i64>) -> MadeKey {
    let refill = refill_amount.map(|amount| json!({"interval": "daily", "amount": amount}));
    let mut credits = json!({"remaining": remaining});
    if let Some(refill) = refill {
        credits["refill"] = refill;
    }
    world.key(&world.api(), json!({"credits": credits}))
}

/// What is stored as the balance.
fn stored(world: &World<'_>, key: &MadeKey) -> Option<i64> {
    let rows = world.rows(&format!("SELECT remaining FROM credits WHERE key_id = '{}'", key.id));
    rows.first().map(|row| row["remaining"].as_i64().unwrap())
}

/// What a verification with a cost came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// VALID, with the balance after it; `None` is unlimited.
    Valid(Option<i64>),
    /// USAGE_EXCEEDED, with the balance.
    Exceeded(i64),
    /// 503, or no answer at all.
    Nothing {
        /// Nothing was spent for certain.
        certain: bool,
    },
}

impl Said {
    fn of(answer: Option<&Answer>) -> Self {
        let Some(answer) = answer else { return Self::Nothing { certain: false } };
        if answer.status == 503 {
            assert!(!answer.text.contains("VALID"), "{}", answer.text);
            return Self::Nothing { certain: answer.detail().contains("None were spent") };
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        let credits = answer.data().get("credits").and_then(Value::as_i64);
        match answer.data()["code"].as_str() {
            Some("VALID") => Self::Valid(credits),
            Some("USAGE_EXCEEDED") => Self::Exceeded(credits.unwrap()),
            _ => panic!("{}", answer.text),
        }
    }
}

/// Verifies with a cost.
fn spend(client: &Client, key: &MadeKey, cost: i64) -> Said {
    Said::of(client.attempt("keys.verifyKey", json!({"key": key.plaintext, "credits": {"cost": cost}})).as_ref())
}

/// Numbers that look random and come again with the same seed.
struct Numbers(u64);

impl Numbers {
    fn seeded(seed: usize) -> Self {
        Self(u64::try_from(seed).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 0 to below `end`.
    fn below(&mut self, end: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from((self.0 >> 16) % end).unwrap()
    }
}
