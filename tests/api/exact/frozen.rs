//! Postgres standing still: bounded answers, a bounded queue, recovery by itself.

use crate::exact::Said;
use crate::exact::ledger::spend_all;
use crate::exact::ledger::spend_one;
use crate::exact::limited;
use crate::exact::spend;
use crate::exact::stored;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::faulty::Faulty;
use crate::harness::faulty::Frozen;
use keyward::store::ledger::Spent;
use std::thread;
use std::time::Duration;
use std::time::Instant;

const CREDITS: i64 = 100_000;

#[test]
fn spends_of_a_frozen_database_are_503_in_bounded_time_and_what_had_not_begun_is_not_spent() {
    let faulty = Faulty::new(false);
    let server = faulty.serve();
    let world = World::on(&server);
    let key = limited(&world, CREDITS, None);
    assert_eq!(spend(&world.admin, &key, 1), Said::Valid(Some(CREDITS - 1)));
    let frozen = Frozen::new(faulty.processes());
    thread::scope(|scope| {
        // This one hangs in the database.
        scope.spawn(|| assert_eq!(spend_one(&server, &key, 10), Err(false)));
        eventually("it has begun", || (server.app.metrics.ledger.batch.get_sample_count() == 2).then_some(()));
        // More than may wait: the last are refused at once, the others within the bound.
        let begun = Instant::now();
        let answers = spend_all(&server, &key, &[1000; 10_000]);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(answers.iter().all(Result::is_err), "nothing is VALID");
        assert_eq!(answers.iter().filter(|answer| **answer == Err(true)).count(), 10_000 - 8192);
        assert_eq!(server.app.metrics.ledger.refused.get(), 10_000 - 8192);
        for _ in 0..5 {
            let begun = Instant::now();
            assert!(matches!(spend(&world.admin, &key, 1), Said::Nothing { .. }));
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        }
        assert!(server.app.metrics.ledger.queued.get() <= 8192);
    });
    drop(frozen);
    eventually("it verifies again", || matches!(spend(&world.admin, &key, 0), Said::Valid(_)).then_some(()));
    eventually("nothing waits any more", || (server.app.metrics.ledger.queued.get() == 0).then_some(()));
    let Ok(Spent::Left(left)) = spend_one(&server, &key, 1) else { panic!("it spends again") };
    assert!([CREDITS - 2, CREDITS - 12].contains(&left), "of all that gave up, at most what hung was spent: {left}");
    assert_eq!(stored(&world, &key), Some(left));
}
