//! Revoke lag: a key is revoked at one node; how long until another one, which verifies it all the time, refuses it.

use crate::Fault;
use crate::cases::Servers;
use crate::load;
use crate::load::Keys;
use crate::load::Load;
use crate::stage;
use crate::stage::Stage;
use crate::wire::Client;
use crate::wire::PREFIX;
use crate::wire::Question;
use crate::wire::SLOT;
use std::time::Duration;
use std::time::Instant;

/// Background load on the node that has to learn of it, requests a second over all of its connections.
const RATE: u32 = 2_000;
/// Connections of the background load.
const CONNECTIONS: usize = 16;
/// A key that still passes after this was never revoked.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long revoked keys still passed.
#[derive(Clone, Debug)]
pub struct Lag {
    /// How they were revoked.
    pub name: &'static str,
    /// From the 200 of the revocation to the first refusal, sorted.
    pub times: Vec<Duration>,
    /// How long one verification took meanwhile, in the median: the measure cannot be finer.
    pub one: Duration,
}

/// Ways to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `keys.updateKey {enabled: false}`, always the same hot key; it is enabled again.
    Disabled,
    /// `keys.deleteKey`, each time another key, which the node has just verified.
    Deleted,
}

/// Measures all ways.
pub fn measure(stage: &Stage, servers: &Servers) -> Result<Vec<Lag>, Fault> {
    let other = stage.serve(&[])?;
    let rounds = stage.options.revocations();
    let background = Load {
        address: servers.warm.address,
        pid: servers.warm.pid(),
        database_pid: stage.database_pid(),
        question: stage.verification(""),
        keys: Keys::new(stage::REVOKED.first, 1),
        others: None,
        each_once: false,
        connections: CONNECTIONS,
        rate: Some(RATE),
        warm_up: Duration::ZERO,
        // It is ended when it has done its work.
        measured: Duration::from_secs(3_600),
    };
    let mut child = load::start(&background, &stage.cores.load)?;
    let mut nodes =
        Nodes { stage, here: Client::of(other.address), there: Client::of(servers.warm.address), taken: Vec::new() };
    let lags = [("keys.updateKey enabled: false", Way::Disabled), ("keys.deleteKey", Way::Deleted)]
        .into_iter()
        .map(|(name, way)| nodes.revoke(name, way, rounds))
        .collect();
    child.kill()?;
    child.wait()?;
    lags
}

struct Nodes<'a> {
    stage: &'a Stage,
    /// Where keys are revoked.
    here: Client,
    /// Where they are verified.
    there: Client,
    taken: Vec<Duration>,
}

impl Nodes<'_> {
    fn revoke(&mut self, name: &'static str, way: Way, rounds: u64) -> Result<Lag, Fault> {
        let hot = stage::REVOKED.first;
        let mut times = Vec::new();
        for round in 1..=rounds {
            let (key, question) = match way {
                Way::Disabled => (hot, self.switch(false)),
                Way::Deleted => {
                    let id = format!(r#"{{"keyId":"key_bench_{SLOT}"}}"#);
                    (hot + round, self.stage.question("keys.deleteKey", &id))
                }
            };
            self.until(key, true)?;
            self.here.ask(&question, key)?;
            times.push(self.until(key, false)?);
            if way == Way::Disabled {
                let question = self.switch(true);
                self.here.ask(&question, key)?;
                self.until(key, true)?;
            }
        }
        times.sort();
        self.taken.sort();
        let one = self.taken.get(self.taken.len() / 2).copied().unwrap_or_default();
        self.taken.clear();
        Ok(Lag { name, times, one })
    }

    fn switch(&self, enabled: bool) -> Question {
        let body = format!(r#"{{"keyId":"key_bench_{SLOT}","enabled":{enabled}}}"#);
        self.stage.question("keys.updateKey", &body)
    }

    /// Verifies back to back until the answer is this; returns how long that took.
    fn until(&mut self, key: u64, valid: bool) -> Result<Duration, Fault> {
        let question = self.stage.verification("");
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let (answer, _) = self.there.ask(&question, key)?;
            self.taken.push(asked.elapsed());
            if answer.valid == valid {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!(
                    "{PREFIX}{key:010} is not {} after {PATIENCE:?}",
                    if valid { "valid" } else { "refused" }
                )
                .into());
            }
        }
    }
}
