//! Postgres killed in mid-load: no VALID that the database does not remember, also where the database itself would rather
//! be quick than durable; and it goes on by itself.

use crate::exact::Numbers;
use crate::exact::Said;
use crate::exact::limited;
use crate::exact::rounds;
use crate::exact::spend;
use crate::exact::stored;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::faulty::Faulty;
use crate::harness::postgres;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

const CREDITS: i64 = 1_000_000;
const THREADS: usize = 6;

#[test]
fn an_immediate_restart_of_postgres_forgets_no_valid() {
    let faulty = Faulty::new(true);
    let url = faulty.postgres.url();
    // Without the session's own setting, half a second of commits would be lost.
    postgres::execute(
        url,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
    );
    let server = faulty.serve();
    let world = World::on(&server);
    let key = limited(&world, CREDITS, None);
    postgres::execute(url, "CHECKPOINT");
    let mut before = CREDITS;
    for round in 0..rounds(2) {
        let (valid, unsure, over) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()), AtomicBool::new(false));
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (admin, key, valid, unsure, over) = (&world.admin, &key, &valid, &unsure, &over);
                let mut numbers = Numbers::seeded(round * THREADS + thread);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let cost = numbers.below(20);
                        match spend(admin, key, cost) {
                            Said::Valid(_) => valid.lock().unwrap().push(cost),
                            Said::Exceeded(_) => panic!("the balance suffices"),
                            Said::Nothing { certain: true } => (),
                            Said::Nothing { certain: false } => unsure.lock().unwrap().push(cost),
                        }
                    }
                });
            }
            let more_than = |enough: usize| (valid.lock().unwrap().len() > enough).then_some(());
            eventually("there is load", || more_than(50));
            faulty.postgres.kill().unwrap();
            let so_far = valid.lock().unwrap().len();
            faulty.postgres.start_again().unwrap();
            eventually("it verifies again, without a restart of the server", || more_than(so_far + 50));
            over.store(true, Ordering::Relaxed);
        });
        let (valid, unsure): (i64, i64) =
            (valid.into_inner().unwrap().iter().sum(), unsure.into_inner().unwrap().iter().sum());
        let taken = before - stored(&world, &key).unwrap();
        assert!(valid <= taken, "round {round}: {valid} were answered VALID, {taken} are remembered");
        assert!(taken <= valid + unsure, "round {round}: {taken} taken, {valid} answered, {unsure} unsure");
        before -= taken;
    }
}

#[test]
fn a_restart_while_nobody_spends_costs_no_503() {
    let faulty = Faulty::new(false);
    let server = faulty.serve();
    let world = World::on(&server);
    let key = limited(&world, 10, None);
    assert_eq!(spend(&world.admin, &key, 1), Said::Valid(Some(9)));
    faulty.postgres.interrupt().unwrap();
    faulty.postgres.start_again().unwrap();
    // Rested as any connection is that has seen a restart.
    crate::harness::process::wait(std::time::Duration::from_millis(300));
    assert_eq!(spend(&world.admin, &key, 1), Said::Valid(Some(8)));
}
