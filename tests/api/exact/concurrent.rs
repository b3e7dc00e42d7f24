//! Many spends at once, over two servers on one database.

use crate::exact::Numbers;
use crate::exact::Said;
use crate::exact::limited;
use crate::exact::rounds;
use crate::exact::spend;
use crate::exact::stored;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::postgres;
use crate::harness::server::Options;
use chrono::Duration;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

const THREADS: usize = 8;

/// Two servers on one database, and a world on the first.
/// Two servers that are patient with a busy machine: what is tested is the numbers, not the time.
fn two_servers() -> (Server, Server) {
    let database = postgres::fresh_database();
    let server = || Options::default().flags("--database-timeout-ms 20000").database(&database).start();
    (server(), server())
}

/// Spends all these costs, over both servers at once. `halfway` runs once in the middle.
fn spend_all(clients: &[Client; 2], key: &MadeKey, costs: &[i64], halfway: impl Fn() + Sync) -> Vec<(i64, Said)> {
    let (next, said) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (next, said, halfway) = (&next, &said, &halfway);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cost) = costs.get(index) else { return };
                    if index == costs.len() / 2 {
                        halfway();
                    }
                    let one = spend(&clients[thread % 2], key, *cost);
                    said.lock().unwrap().push((*cost, one));
                }
            });
        }
    });
    said.into_inner().unwrap()
}

fn clients(world: &World<'_>, other: &Server) -> [Client; 2] {
    [world.admin.clone(), Client::new(other.url()).bearer(world.admin.root_key())]
}

/// The sum of what was admitted.
fn admitted(said: &[(i64, Said)]) -> i64 {
    said.iter().filter(|(_, said)| matches!(said, Said::Valid(_))).map(|(cost, _)| cost).sum()
}

#[test]
fn of_four_times_as_many_calls_as_credits_exactly_as_many_pass() {
    const CREDITS: i64 = 100;
    let (one, two) = two_servers();
    let world = World::on(&one);
    let clients = clients(&world, &two);
    for _ in 0..rounds(2) {
        let key = limited(&world, CREDITS, None);
        let said = spend_all(&clients, &key, &[1; 400], || ());
        let mut left: Vec<_> = said
            .iter()
            .filter_map(|(_, said)| match said {
                Said::Valid(left) => Some(left.unwrap()),
                Said::Exceeded(left) => {
                    assert_eq!(*left, 0);
                    None
                }
                Said::Nothing { .. } => panic!("a 503 without a fault"),
            })
            .collect();
        left.sort_unstable();
        assert!(left.into_iter().eq(0..CREDITS), "each balance was answered once");
        assert_eq!(stored(&world, &key), Some(0));
    }
}

#[test]
fn random_costs_never_pass_the_balance_and_leave_less_than_was_refused() {
    const CREDITS: i64 = 300;
    let (one, two) = two_servers();
    let world = World::on(&one);
    let clients = clients(&world, &two);
    for round in 0..rounds(2) {
        let key = limited(&world, CREDITS, None);
        let mut numbers = Numbers::seeded(round);
        let costs: Vec<_> = (0..400).map(|_| numbers.below(8)).collect();
        let said = spend_all(&clients, &key, &costs, || ());
        let left = stored(&world, &key).unwrap();
        assert_eq!(left, CREDITS - admitted(&said), "what was taken is what was admitted");
        for (cost, said) in said {
            match said {
                Said::Valid(left) => assert!(left.unwrap() >= 0 && left.unwrap() + cost <= CREDITS),
                // Balances only fall here: what is left now is no more than what was too little then.
                Said::Exceeded(balance) => assert!(left <= balance && balance < cost, "{cost} of {balance}"),
                Said::Nothing { .. } => panic!("a 503 without a fault"),
            }
        }
    }
}

#[test]
fn a_refill_that_falls_due_in_the_middle_happens_once() {
    const CREDITS: i64 = 60;
    const AMOUNT: i64 = 80;
    let (one, two) = two_servers();
    let world = World::on(&one);
    let clients = clients(&world, &two);
    for _ in 0..rounds(2) {
        let key = limited(&world, CREDITS, Some(AMOUNT));
        // The clocks of two machines never move at the same instant.
        let said = spend_all(&clients, &key, &[1; 400], || {
            one.clock.advance(Duration::days(1));
            two.clock.advance(Duration::days(1));
        });
        let mut times: BTreeMap<i64, i64> = BTreeMap::new();
        for (_, said) in &said {
            match said {
                Said::Valid(left) => *times.entry(left.unwrap()).or_default() += 1,
                Said::Exceeded(left) => assert_eq!(*left, 0),
                Said::Nothing { .. } => panic!("a 503 without a fault"),
            }
        }
        // Before the refill the balance fell from CREDITS to this; after it from AMOUNT to 0.
        let before = CREDITS + AMOUNT - admitted(&said);
        assert!((0..=CREDITS).contains(&before), "{} admitted", admitted(&said));
        for left in 0..AMOUNT {
            let expected = 1 + i64::from((before..CREDITS).contains(&left));
            assert_eq!(times.get(&left), Some(&expected), "times that {left} was left; refilled at {before}");
        }
        assert_eq!(stored(&world, &key), Some(0));
    }
}

#[test]
fn spends_of_many_keys_do_not_mix() {
    let (one, two) = two_servers();
    let world = World::on(&one);
    let clients = clients(&world, &two);
    let keys: Vec<_> = (0..6).map(|index| (20 * index, limited(&world, 20 * index, None))).collect();
    let unlimited = world.key(&world.api(), serde_json::json!({}));
    thread::scope(|scope| {
        for (credits, key) in &keys {
            scope.spawn(|| assert_eq!(admitted(&spend_all(&clients, key, &[2; 60], || ())), *credits));
        }
        scope.spawn(|| {
            let said = spend_all(&clients, &unlimited, &[1_000_000; 60], || ());
            assert!(said.iter().all(|(_, said)| *said == Said::Valid(None)));
        });
    });
    assert!(keys.iter().all(|(_, key)| stored(&world, key) == Some(0)));
}
