//! Spends and updates that race have a serial explanation: some order, in which nothing begins after what it precedes has
//! ended, gives every answer that was given.

use crate::exact::Numbers;
use crate::exact::Said;
use crate::exact::limited;
use crate::exact::rounds;
use crate::exact::spend;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::postgres;
use crate::harness::server::Options;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// A balance; `None` is unlimited.
type Balance = Option<i64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Spend(i64),
    Set(i64),
    Increment(i64),
    Decrement(i64),
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saw {
    /// It was done, and this was the balance then.
    Done(Balance),
    /// The balance, which this was, did not suffice.
    Refused(i64),
    /// No answer: it was done after it was asked for, or never.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    operation: Operation,
    saw: Saw,
    asked: u64,
    answered: u64,
}

/// What an operation does, one at a time.
fn apply(balance: Balance, operation: Operation) -> (Balance, Saw) {
    let after = match (operation, balance) {
        (Operation::Set(value), _) => Some(value),
        (Operation::Spend(_) | Operation::Increment(_) | Operation::Decrement(_) | Operation::Read, None) => None,
        (Operation::Spend(cost), Some(balance)) if balance < cost => return (Some(balance), Saw::Refused(balance)),
        (Operation::Spend(cost), Some(balance)) => Some(balance - cost),
        (Operation::Increment(by), Some(balance)) => Some(balance + by),
        (Operation::Decrement(by), Some(balance)) => Some((balance - by).max(0)),
        (Operation::Read, Some(balance)) => Some(balance),
    };
    (after, Saw::Done(after))
}

/// Whether a history has a serial explanation. Depth first over what may come next; a set of events that were done together
/// with the balance after them is tried once.
fn is_explained(start: Balance, events: &[Event]) -> bool {
    assert!(events.len() < 64, "a history of {}", events.len());
    let mut tried = HashSet::new();
    let mut open = vec![(0_u64, start)];
    while let Some((done, balance)) = open.pop() {
        if !tried.insert((done, balance)) {
            continue;
        }
        let left = || (0..events.len()).filter(move |index| done >> index & 1 == 0);
        let answered = |event: &Event| if event.saw == Saw::Nothing { u64::MAX } else { event.answered };
        if left().all(|index| events[index].saw == Saw::Nothing) {
            return true;
        }
        let first_end = left().map(|index| answered(&events[index])).min().unwrap_or(u64::MAX);
        for index in left().filter(|index| events[*index].asked <= first_end) {
            let (after, saw) = apply(balance, events[index].operation);
            if events[index].saw == saw || events[index].saw == Saw::Nothing {
                open.push((done | 1 << index, after));
            }
        }
    }
    false
}

#[test]
fn the_checker_tells_right_from_wrong() {
    use Operation::Increment;
    use Operation::Read;
    use Operation::Set;
    use Operation::Spend;
    use Saw::Done;
    use Saw::Nothing;
    use Saw::Refused;
    let event = |operation, saw, asked, answered| Event { operation, saw, asked, answered };
    let cases: [(&str, bool, Vec<Event>); 9] = [
        ("nothing happened", true, vec![]),
        ("one after another", true, vec![event(Spend(3), Done(Some(7)), 0, 1), event(Spend(8), Refused(7), 2, 3)]),
        (
            "at once, in the other order",
            true,
            vec![event(Spend(3), Done(Some(5)), 0, 9), event(Spend(2), Done(Some(8)), 1, 8)],
        ),
        ("spent twice", false, vec![event(Spend(10), Done(Some(0)), 0, 9), event(Spend(10), Done(Some(0)), 1, 8)]),
        (
            "refused at a balance that never was",
            false,
            vec![event(Spend(3), Done(Some(7)), 0, 9), event(Spend(9), Refused(5), 1, 8)],
        ),
        (
            "an answer from the past",
            false,
            vec![event(Set(1), Done(Some(1)), 0, 1), event(Spend(2), Done(Some(8)), 2, 3)],
        ),
        (
            "an update that was lost",
            false,
            vec![
                event(Increment(5), Done(Some(15)), 0, 9),
                event(Spend(1), Done(Some(9)), 0, 9),
                event(Read, Done(Some(9)), 10, 11),
            ],
        ),
        ("no answer, and it was done", true, vec![event(Spend(4), Nothing, 0, 1), event(Read, Done(Some(6)), 5, 6)]),
        (
            "no answer, and it was not done",
            true,
            vec![event(Spend(4), Nothing, 0, 1), event(Read, Done(Some(10)), 5, 6)],
        ),
    ];
    for (name, explained, events) in cases {
        assert_eq!(is_explained(Some(10), &events), explained, "{name}");
    }
}

/// `keys.updateCredits`, or `keys.getKey` for what is left.
fn update(world: &World<'_>, key: &MadeKey, operation: Operation) -> Saw {
    let (name, value) = match operation {
        Operation::Set(value) => ("set", value),
        Operation::Increment(by) => ("increment", by),
        Operation::Decrement(by) => ("decrement", by),
        Operation::Read | Operation::Spend(_) => {
            return Saw::Done(world.get_key(&key.id)["credits"]["remaining"].as_i64());
        }
    };
    let body = json!({"keyId": key.id, "operation": name, "value": value});
    match world.admin.attempt("keys.updateCredits", body) {
        Some(answer) if answer.status == 200 => Saw::Done(answer.data()["remaining"].as_i64()),
        Some(answer) if answer.status != 503 => panic!("{}", answer.text),
        _ => Saw::Nothing,
    }
}

/// One history: `THREADS` spend and two update, over two servers.
fn history(world: &World<'_>, clients: &[Client; 2], key: &MadeKey, seed: usize) -> Vec<Event> {
    const THREADS: usize = 3;
    let (events, begun) = (Mutex::new(Vec::new()), Instant::now());
    let note = |operation, act: &dyn Fn() -> Saw| {
        let now = || u64::try_from(begun.elapsed().as_nanos()).unwrap();
        let asked = now();
        let saw = act();
        events.lock().unwrap().push(Event { operation, saw, asked, answered: now() });
    };
    thread::scope(|scope| {
        for thread in 0..THREADS + 2 {
            let note = &note;
            let mut numbers = Numbers::seeded(seed * (THREADS + 2) + thread);
            scope.spawn(move || {
                for _ in 0..5 {
                    let value = numbers.below(9);
                    if thread >= THREADS {
                        let update_of = [Operation::Set, Operation::Increment, Operation::Decrement];
                        let operation = update_of[usize::try_from(numbers.below(3)).unwrap()](value);
                        note(operation, &|| update(world, key, operation));
                        continue;
                    }
                    note(Operation::Spend(value), &|| match spend(&clients[thread % 2], key, value) {
                        Said::Valid(left) => Saw::Done(left),
                        Said::Exceeded(balance) => Saw::Refused(balance),
                        Said::Nothing { .. } => Saw::Nothing,
                    });
                }
            });
        }
    });
    note(Operation::Read, &|| update(world, key, Operation::Read));
    events.into_inner().unwrap()
}

#[test]
fn spends_that_race_with_updates_have_a_serial_explanation() {
    let database = postgres::fresh_database();
    let server = || Options::default().database(&database).start();
    let (one, two) = (server(), server());
    let world = World::on(&one);
    let clients = [world.admin.clone(), Client::new(two.url()).bearer(world.admin.root_key())];
    for round in 0..rounds(40) {
        let key = limited(&world, 12, None);
        let events = history(&world, &clients, &key, round);
        assert!(events.iter().all(|event| event.saw != Saw::Nothing), "a 503 without a fault: {events:?}");
        assert!(is_explained(Some(12), &events), "round {round}: {events:#?}");
    }
}
