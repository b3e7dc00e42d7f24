//! Rows are sealed within moments, by one at a time; a chain never forks, and nobody who changes something waits for it.

use super::report;
use super::sealed;
use crate::harness::World;
use crate::harness::postgres;
use crate::harness::server::Options;
use diesel::Connection;
use diesel::PgConnection;
use diesel::RunQueryDsl;
use keyward::model::origin::Actor;
use keyward::model::origin::Origin;
use keyward::store;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

#[test]
fn parallel_changes_on_two_servers_and_many_sealers_make_one_chain_each() {
    let database = postgres::fresh_database();
    let servers = [(); 2].map(|()| Options::default().database(&database).start());
    let worlds = [World::on(&servers[0]), World::on(&servers[0])];
    let done = Arc::new(AtomicBool::new(false));
    // Beside those of the servers, and in small bites so that they meet.
    let sealers: Vec<_> = (0..4)
        .map(|number| {
            let (db, done) = (servers[number % 2].app.db.clone(), Arc::clone(&done));
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    db.write_now(&Origin::local(Actor::System), |tx| store::audit_chain::seal(tx, 7)).unwrap();
                }
            })
        })
        .collect();
    let mut writers = Vec::new();
    for (number, world) in worlds.iter().enumerate() {
        let api = world.api();
        for thread in 0..4 {
            let url = servers[(number + thread) % 2].url();
            let client = crate::harness::Client::new(url).bearer(world.admin.root_key());
            let api = api.clone();
            writers.push(std::thread::spawn(move || {
                for count in 0..25 {
                    client.ok(
                        "keys.createKey",
                        json!({"apiId": api, "name": format!("{thread} {count}"), "permissions": ["a", "b"]}),
                    );
                }
            }));
        }
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    done.store(true, Ordering::Relaxed);
    sealers.into_iter().for_each(|sealer| sealer.join().unwrap());
    for world in &worlds {
        let rows = sealed(world);
        // The workspace, its root key, its API, two permissions, and three rows a key.
        assert_eq!(rows, 5 + 100 * 3);
        let places = world.rows("SELECT min(sequence) AS first, max(sequence) AS last, count(DISTINCT sequence) AS places FROM audit_log WHERE workspace_id = $ws");
        assert_eq!(places[0], json!({"first": 1, "last": rows, "places": rows}));
        let report = report(world, &[]);
        assert!(report.intact && report.rows == rows, "{report:?}");
    }
}

#[test]
fn nobody_who_changes_something_waits_for_the_sealer() {
    let server = Options::default().database(postgres::fresh_database()).start();
    let world = World::on(&server);
    let api = world.api();
    sealed(&world);
    // Somebody holds all that the sealer needs.
    let mut held = PgConnection::establish(&server.database).unwrap();
    diesel::sql_query("BEGIN").execute(&mut held).unwrap();
    diesel::sql_query("SELECT * FROM audit_heads FOR UPDATE").execute(&mut held).unwrap();
    diesel::sql_query("SELECT pg_advisory_xact_lock(x'4b574155444954'::bigint)").execute(&mut held).unwrap();
    for number in 0..20 {
        world.admin.ok("apis.updateApi", json!({"apiId": api, "name": format!("name {number}")}));
    }
    let waiting = "SELECT count(*) AS waiting FROM audit_log WHERE workspace_id = $ws AND sequence IS NULL";
    assert_eq!(world.rows(waiting)[0]["waiting"], 20);
    let metric = |name: &str| {
        let text = world.anonymous().get("/metrics").text;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    crate::harness::eventually("the metrics tell", || {
        (metric("keyward_audit_unsealed_rows ") >= 20.0 && metric("keyward_audit_unsealed_seconds ") > 0.0)
            .then_some(())
    });
    diesel::sql_query("ROLLBACK").execute(&mut held).unwrap();
    sealed(&world);
    assert!(report(&world, &[]).intact);
    crate::harness::eventually("the metrics tell", || {
        (metric("keyward_audit_unsealed_rows ") == 0.0 && metric("keyward_audit_unsealed_seconds ") == 0.0)
            .then_some(())
    });
}

#[test]
fn what_was_written_before_there_was_a_chain_is_sealed_in_its_order() {
    let database = postgres::fresh_database();
    let server = Options::default().database(&database).start();
    let world = World::on(&server);
    let api = world.api();
    super::rows(&world, &api, 30);
    sealed(&world);
    server.stop();
    postgres::execute(&database, "UPDATE audit_log SET sequence = NULL, hash = NULL");
    postgres::execute(&database, "DELETE FROM audit_heads");
    let server = Options::default().database(&database).start();
    let later = World { server: &server, ..world };
    sealed(&later);
    let out_of_order = later.rows(
        "SELECT 1 AS x FROM audit_log a JOIN audit_log b ON b.workspace_id = a.workspace_id AND b.sequence = a.sequence + 1 \
         WHERE a.workspace_id = $ws AND a.id > b.id",
    );
    assert!(out_of_order.is_empty());
    assert!(report(&later, &[]).intact);
}

#[test]
fn a_row_that_keyward_did_not_write_holds_up_its_own_workspace_alone() {
    let server = Options::default().database(postgres::fresh_database()).start();
    let (bad, good) = (World::on(&server), World::on(&server));
    sealed(&bad);
    bad.execute(
        "INSERT INTO audit_log (id, workspace_id, at, event, actor_type, actor_id, actor_name, display, correlation_id, \
         resources) VALUES ('0' || $ws, $ws, now(), 'x', 'x', 'x', 'x', 'x', 'x', '{}')",
    );
    bad.api();
    good.api();
    sealed(&good);
    assert!(report(&good, &[]).intact);
    let report = report(&bad, &[]);
    assert!(report.intact && report.unsealed == 2, "{report:?}");
}
