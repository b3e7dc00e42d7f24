//! The server killed in mid-load: what it answered VALID is spent, and nothing else but what was in flight.

use crate::exact::Numbers;
use crate::exact::Said;
use crate::exact::rounds;
use crate::exact::spend;
use crate::harness::Client;
use crate::harness::eventually;
use crate::harness::fixtures::MadeKey;
use crate::harness::keyward;
use crate::harness::postgres;
use rustix::process::Signal;
use serde_json::json;
use std::sync::Mutex;
use std::thread;

const BOOTSTRAP: &str = "bootstrap_0123456789_abcdefghij";
const CREDITS: i64 = 1_000_000;
const THREADS: usize = 6;

#[test]
fn after_kill_9_the_balance_is_what_was_answered_apart_from_what_was_in_flight() {
    let database = postgres::fresh_database();
    let mut node = Node::start(&database);
    let api = node.admin.ok("apis.createApi", json!({"name": "mine"}))["apiId"].clone();
    let made = node.admin.ok("keys.createKey", json!({"apiId": api, "credits": {"remaining": CREDITS}}));
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let key = MadeKey { id: text("keyId"), plaintext: text("key") };
    let balance = || postgres::rows(&database, "SELECT remaining FROM credits")[0]["remaining"].as_i64().unwrap();
    let mut before = CREDITS;
    for round in 0..rounds(3) {
        let (valid, lost) = node.load_and_kill(&key, round);
        assert!(!valid.is_empty(), "there was load");
        // What the killed server has sent the database still does.
        let sessions = "SELECT 1 AS one FROM pg_stat_activity \
            WHERE datname = current_database() AND application_name = 'keyward'";
        eventually("its sessions have ended", || postgres::rows(&database, sessions).is_empty().then_some(()));
        // Each of a subset of what was in flight was spent.
        let unexplained = before - balance() - valid.iter().sum::<i64>();
        assert!(unexplained >= 0, "round {round}: VALID was answered for what is not spent: {unexplained}");
        let explained = (0..1_usize << lost.len())
            .map(|set| (0..lost.len()).filter(|one| set >> one & 1 == 1).map(|one| lost[one]).sum::<i64>());
        assert!(explained.into_iter().any(|sum| sum == unexplained), "round {round}: {unexplained} of {lost:?}");
        before = balance();
        node = Node::start(&database);
    }
    assert_eq!(spend(&node.admin, &key, 1), Said::Valid(Some(before - 1)), "it goes on where it was");
}

struct Node {
    process: crate::harness::process::Running,
    admin: Client,
}

impl Node {
    fn start(database: &str) -> Self {
        let command = keyward("serve --listen 127.0.0.1:0 --workers 2 --log warn");
        let mut process = command.env("KEYWARD_BOOTSTRAP_ROOT_KEY", BOOTSTRAP).database(database).start();
        let admin = Client::new(process.url()).bearer(BOOTSTRAP);
        Self { process, admin }
    }

    /// Spends until the process, which is killed in the middle, answers no more. Returns the costs of what was VALID, and of
    /// what had no answer: one a thread at most.
    fn load_and_kill(self, key: &MadeKey, round: usize) -> (Vec<i64>, Vec<i64>) {
        let (valid, lost) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (admin, valid, lost) = (&self.admin, &valid, &lost);
                let mut numbers = Numbers::seeded(round * THREADS + thread);
                scope.spawn(move || {
                    loop {
                        let cost = numbers.below(20);
                        match spend(admin, key, cost) {
                            Said::Valid(_) => valid.lock().unwrap().push(cost),
                            Said::Exceeded(_) => panic!("the balance suffices"),
                            Said::Nothing { .. } => return lost.lock().unwrap().push(cost),
                        }
                    }
                });
            }
            // Not always at the same point.
            let enough = 30 + 17 * (round % 5);
            eventually("there is load", || (valid.lock().unwrap().len() > enough).then_some(()));
            self.process.signal(Signal::KILL);
        });
        (valid.into_inner().unwrap(), lost.into_inner().unwrap())
    }
}
