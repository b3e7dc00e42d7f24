//! The cases: what is asked of which server, about which keys, and how many of them must be found valid.

use crate::Fault;
use crate::load;
use crate::load::Found;
use crate::load::Keys;
use crate::load::Load;
use crate::stage;
use crate::stage::Server;
use crate::stage::Stage;
use crate::wire::PREFIX;
use crate::wire::Question;
use crate::wire::SLOT;
use std::time::Duration;

/// Names of cases that others and the bars refer to.
pub const FLOOR: &str = "floor: bare handler";
/// Warm, a thousand keys.
pub const WARM: &str = "warm verify, plain";
/// Warm, with limits.
pub const LIMITS: &str = "warm verify, two limits";
/// Credits of one key.
pub const HOT_CREDITS: &str = "warm verify, credits, one hot key";
/// Credits of many keys.
pub const CREDITS: &str = "warm verify, credits, many keys";
/// Nothing is in the cache.
pub const COLD: &str = "cold verify, all stored keys";
/// What a service without a cache does.
pub const SELECT: &str = "comparison: one SELECT a request";
/// What a service that counts in the database does.
pub const UPDATE: &str = "comparison: one UPDATE a request, many keys";
/// The same, all on one row.
pub const HOT_UPDATE: &str = "comparison: one UPDATE a request, one hot key";
/// With r2d2 as it is by default.
pub const TESTED_SELECT: &str = "comparison: one SELECT a request, connections tested";

/// Entries of the cache that is too small.
const SMALL_CACHE: &str = "1000";

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// What Keyward is compared with.
    Floor,
    /// Keyward as it is by default.
    Warm,
    /// Keyward with a cache that is too small.
    Cold,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in the table.
    pub name: &'static str,
    target: Target,
    question: Question,
    keys: Keys,
    others: Option<(Keys, u64)>,
    /// Of a hundred answers so many say valid; `None` for what verifies nothing.
    valid: Option<f64>,
}

/// The servers that cases are asked of.
#[derive(Debug)]
pub struct Servers {
    floor: Server,
    /// Keyward as it is by default.
    pub warm: Server,
    cold: Server,
}

impl Servers {
    /// Starts them.
    pub fn start(stage: &Stage) -> Result<Self, Fault> {
        Ok(Self {
            floor: stage.floor()?,
            warm: stage.serve(&[])?,
            cold: stage.serve(&[("KEYWARD_CACHE_ENTRIES", SMALL_CACHE)])?,
        })
    }

    fn of(&self, target: Target) -> &Server {
        match target {
            Target::Floor => &self.floor,
            Target::Warm => &self.warm,
            Target::Cold => &self.cold,
        }
    }
}

/// One measurement of a case.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What was found.
    pub found: Found,
    /// Why it is not to be trusted, if so.
    pub doubt: Option<String>,
}

impl Case {
    /// The bare handler.
    pub fn floor(stage: &Stage) -> Self {
        Self::compared(stage, FLOOR, "/floor", PREFIX, stage::HOT)
    }

    /// Everything else of the main table, in its order.
    pub fn all(stage: &Stage) -> Vec<Self> {
        let key = stage.verification("");
        let query = stage.verification(r#","permissions":"documents.read AND (documents.write OR documents.share)""#);
        let hot = |keys: Keys| Keys::new(keys.first, 1);
        let warm = |name, question: &Question, keys| Self {
            name,
            target: Target::Warm,
            question: question.clone(),
            keys,
            others: None,
            valid: Some(100.0),
        };
        let (api, plain) = (&stage.api, warm(WARM, &key, stage::HOT));
        let created = format!(r#"{{"apiId":"{api}","prefix":"bench","name":"made by the benchmark"}}"#);
        vec![
            plain.clone(),
            warm("warm verify, permission query", &query, stage::PERMITTED),
            warm(LIMITS, &key, stage::LIMITED),
            warm(HOT_CREDITS, &key, hot(stage::CREDITED)),
            warm(CREDITS, &key, stage::CREDITED),
            Self {
                name: "warm verify, 10 % denied",
                others: Some((stage::DISABLED, 10)),
                valid: Some(90.0),
                ..plain.clone()
            },
            Self { name: "warm verify, 100 % denied", keys: stage::DISABLED, valid: Some(0.0), ..plain.clone() },
            Self { name: COLD, target: Target::Cold, keys: Keys::new(0, stage.stored()), ..plain.clone() },
            Self::compared(stage, SELECT, "/untested/select", PREFIX, Keys::new(0, stage.stored())),
            Self::compared(stage, TESTED_SELECT, "/tested/select", PREFIX, Keys::new(0, stage.stored())),
            Self::compared(stage, HOT_UPDATE, "/untested/update", "key_bench_", hot(stage::UPDATED)),
            Self::compared(stage, UPDATE, "/untested/update", "key_bench_", stage::UPDATED),
            Self { name: "createKey", question: stage.question("keys.createKey", &created), valid: None, ..plain },
        ]
    }

    fn compared(stage: &Stage, name: &'static str, path: &str, prefix: &str, keys: Keys) -> Self {
        let question = Question::new(path, &format!(r#"{{"key":"{prefix}{SLOT}"}}"#), &stage.root_key);
        Self { name, target: Target::Floor, question, keys, others: None, valid: Some(100.0) }
    }

    /// What the client is told.
    pub fn load(&self, stage: &Stage, servers: &Servers, connections: usize) -> Load {
        let server = servers.of(self.target);
        Load {
            address: server.address,
            pid: server.pid(),
            database_pid: stage.database_pid(),
            question: self.question.clone(),
            keys: self.keys,
            others: self.others,
            each_once: false,
            connections,
            rate: None,
            warm_up: stage.options.warm_up(),
            measured: stage.options.measured(),
        }
    }

    /// Measures it once.
    pub fn measure(&self, stage: &Stage, servers: &Servers, connections: usize) -> Result<Measured, Fault> {
        let found = load::measure(&self.load(stage, servers, connections), &stage.cores.load)?;
        let doubt = self.doubt(&found);
        Ok(Measured { found, doubt })
    }

    fn doubt(&self, found: &Found) -> Option<String> {
        if found.answers == 0 {
            return Some("no answer at all".to_owned());
        }
        if found.failed > 0 {
            return Some(format!("{} of {} answers were no 200", found.failed, found.answers));
        }
        let share = 100.0 * found.valid as f64 / found.answers as f64;
        // Three standard deviations of the coarsest sample that is still worth something are less than this.
        let wrong = self.valid.filter(|wanted| (wanted - share).abs() > if *wanted % 100.0 == 0.0 { 0.0 } else { 5.0 });
        wrong.map(|wanted| format!("{share:.0} % were valid, {wanted:.0} % should be"))
    }
}

/// How long the servers need to have everything in place that the first requests bring.
pub fn settle(stage: &Stage, servers: &Servers) -> Result<(), Fault> {
    for case in Case::all(stage).iter().filter(|case| case.target != Target::Cold) {
        let load =
            Load { measured: Duration::from_millis(100), ..case.load(stage, servers, stage.options.connections) };
        load::measure(&load, &stage.cores.load)?;
    }
    Ok(())
}
