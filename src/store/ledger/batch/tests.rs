//! A batch answers as if its spends had come one after another.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use super::Ask;
use super::Found;
use super::Group;
use super::Verdict;
use super::gather;
use crate::model::id::KeyId;
use crate::store::ledger::Fault;
use crate::store::ledger::Spent;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

type Answered = oneshot::Receiver<Result<Spent, Fault>>;

/// Spends `(key, cost)` that wait, and where their answers come.
fn asks(spends: &[(usize, i64)]) -> (Vec<Ask>, Vec<Answered>) {
    spends
        .iter()
        .map(|(key, cost)| {
            let (answer, answered) = oneshot::channel();
            (Ask { key: KeyId::from_text(format!("key_{key}")), cost: *cost, answer }, answered)
        })
        .unzip()
}

fn group(costs: &[i64]) -> (Group, Vec<Answered>) {
    let (asks, answered) = asks(&costs.iter().map(|cost| (0, *cost)).collect::<Vec<_>>());
    (gather(asks).pop().unwrap(), answered)
}

/// What the database does with a group, as the statements do it: all at once, or by replay.
fn settle(group: Group, balance: &mut Option<i64>) {
    let found =
        balance.map(|balance| if balance < group.least() { Found::Seen(balance) } else { Found::Held(balance) });
    match (group.judge(found), balance) {
        (Verdict::Unlimited, None) => group.answer_all(&Ok(Spent::Unlimited)),
        (Verdict::Settled(from), Some(balance)) => {
            if let Some(Found::Held(_)) = found.filter(|_| *balance >= group.total()) {
                *balance -= group.total();
            }
            group.answer(from);
        }
        (Verdict::Replay, Some(balance)) => {
            let before = *balance;
            *balance = group.left_of(before);
            group.answer(before);
        }
        (verdict, balance) => panic!("{verdict:?} of {balance:?}"),
    }
}

/// The same one spend at a time, in order of arrival: what a batch must look like.
fn one_at_a_time(spends: &[(usize, i64)], balances: &mut BTreeMap<usize, i64>) -> Vec<Spent> {
    let spend = |(key, cost): &(usize, i64)| match balances.get_mut(key) {
        None => Spent::Unlimited,
        Some(balance) if *balance >= *cost => {
            *balance -= cost;
            Spent::Left(*balance)
        }
        Some(balance) => Spent::Refused(*balance),
    };
    spends.iter().map(spend).collect()
}

#[test]
fn a_group_is_answered_in_order_of_arrival() {
    use Spent::Left;
    use Spent::Refused;
    type Case<'a> = (&'a str, i64, &'a [i64], &'a [Spent], i64);
    let cases: [Case<'_>; 8] = [
        ("all fit", 10, &[1, 2, 3], &[Left(9), Left(7), Left(4)], 4),
        ("exactly", 6, &[1, 2, 3], &[Left(5), Left(3), Left(0)], 0),
        ("none fits", 2, &[3, 4], &[Refused(2), Refused(2)], 2),
        ("nothing is there", 0, &[1, 1], &[Refused(0), Refused(0)], 0),
        ("free passes on nothing", 0, &[0, 1, 0], &[Left(0), Refused(0), Left(0)], 0),
        ("the first come", 3, &[1, 1, 1, 1], &[Left(2), Left(1), Left(0), Refused(0)], 0),
        ("a large one is passed over", 3, &[2, 5, 1], &[Left(1), Refused(1), Left(0)], 0),
        (
            "free sees the balance of its turn",
            3,
            &[0, 2, 0, 2, 0],
            &[Left(3), Left(1), Left(1), Refused(1), Left(1)],
            1,
        ),
    ];
    for (name, balance, costs, answers, left) in cases {
        let (group, answered) = group(costs);
        let mut stored = Some(balance);
        settle(group, &mut stored);
        let got: Vec<_> = answered.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap()).collect();
        assert_eq!((got.as_slice(), stored), (answers, Some(left)), "{name}");
    }
}

#[test]
fn what_is_found_decides_how_a_group_is_settled() {
    let cases: [(&[i64], Option<Found>, Verdict); 9] = [
        (&[1], None, Verdict::Unlimited),
        (&[1], Some(Found::Busy), Verdict::Busy),
        (&[2, 3], Some(Found::Held(5)), Verdict::Settled(5)),
        (&[2, 3], Some(Found::Held(4)), Verdict::Replay),
        (&[2, 3], Some(Found::Held(2)), Verdict::Replay),
        // Somebody else spent between the look and the lock: nobody can be served.
        (&[2, 3], Some(Found::Held(1)), Verdict::Settled(1)),
        (&[2, 3], Some(Found::Seen(1)), Verdict::Settled(1)),
        (&[0, 3], Some(Found::Seen(1)), Verdict::Settled(1)),
        (&[0, 0], Some(Found::Seen(0)), Verdict::Settled(0)),
    ];
    for (costs, found, verdict) in cases {
        assert_eq!(group(costs).0.judge(found), verdict, "{costs:?} {found:?}");
    }
}

#[test]
fn a_spend_that_nobody_waits_for_is_left_out() {
    let (asks, mut answered) = asks(&[(1, 1), (1, 2), (0, 4)]);
    drop(answered.remove(0));
    drop(answered.remove(1));
    let groups = gather(asks);
    assert_eq!(groups.iter().map(|group| (group.key.as_str(), group.total())).collect::<Vec<_>>(), [("key_1", 2)]);
}

#[test]
fn the_sum_of_a_batch_cannot_overflow() {
    let most = i64::try_from(crate::store::ledger::queue::MAX_BATCH).unwrap();
    assert!(most.checked_mul(crate::store::ledger::MAX_COST).is_some());
}

proptest! {
    /// Batch by batch, the answers and the balances are those of one spend at a time: so what is admitted never exceeds the
    /// balance, every remaining is what the serial order says, what is free passes, and nobody is left without an answer.
    #[test]
    fn batches_are_as_exact_as_single_spends(
        balances in prop::collection::btree_map(0_usize..4, 0_i64..30, 0..4),
        batches in prop::collection::vec(prop::collection::vec((0_usize..5, 0_i64..9), 1..40), 1..4),
    ) {
        let (mut serial, mut stored) = (balances.clone(), balances.clone());
        for spends in &batches {
            let expected = one_at_a_time(spends, &mut serial);
            let (asks, answered) = asks(spends);
            let groups = gather(asks);
            prop_assert!(groups.is_sorted_by(|a, b| a.key < b.key), "locked in one order by all nodes");
            for group in groups {
                let key: usize = group.key.as_str().strip_prefix("key_").unwrap().parse().unwrap();
                let mut balance = stored.get(&key).copied();
                settle(group, &mut balance);
                balance.map(|balance| stored.insert(key, balance));
            }
            let got: Vec<_> = answered.into_iter().map(|mut answer| answer.try_recv().unwrap().unwrap()).collect();
            prop_assert_eq!(got, expected);
            prop_assert_eq!(&stored, &serial);
        }
        prop_assert!(stored.values().all(|balance| *balance >= 0));
    }
}
