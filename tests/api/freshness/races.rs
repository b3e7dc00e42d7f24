//! What was read before a change is not remembered after it, and what is remembered is compared with the clock.

use crate::freshness::at;
use crate::freshness::enable;
use crate::freshness::rounds;
use crate::freshness::state;
use crate::freshness::trusting;
use crate::freshness::verdict;
use crate::freshness::warm;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::fixtures::operate;
use crate::harness::postgres;
use crate::harness::soon;
use crate::migrations::import;
use crate::migrations::migration;
use crate::migrations::sha256;
use chrono::Duration;
use keyward::authz::grants::Grants;
use keyward::domain::root_keys;
use keyward::model::secret::Hash;
use keyward::store;
use keyward::store::cache::Authenticated;
use keyward::store::snapshot::SharedIds;
use keyward::store::snapshot::Snapshot;
use keyward::store::tx::ReadAt;
use serde_json::json;
use std::sync::Arc;
use std::thread;

/// What the database says of a key now.
fn read(world: &World<'_>, hash: &Hash) -> Option<Arc<Snapshot>> {
    let load = |tx: &mut store::tx::Tx<'_>| {
        Ok(store::snapshot::load_all(tx, &world.workspace, &[*hash], &mut SharedIds::default())?)
    };
    let found = world.server.app.db.read_now(load).unwrap();
    found.into_iter().next().map(|(_, snapshot)| Arc::new(snapshot))
}

/// The same of a root key.
fn read_root_key(server: &Server, hash: &Hash) -> Arc<Authenticated> {
    let found = server.app.db.read_now(|tx| Ok(store::root_keys::authenticate_all(tx, &[*hash])?)).unwrap();
    let (_, root_key, workspace) = found.into_iter().next().unwrap();
    let grants = Arc::new(Grants::of(&root_key.permissions));
    Arc::new(Authenticated::new(root_key, workspace, grants, ReadAt::default()))
}

#[test]
fn what_is_warm_is_answered_without_asking() {
    let server = trusting(postgres::fresh_database(), "");
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    warm(&server, &world.admin, &key.plaintext);
    assert_eq!(verdict(&world.admin, "no such key"), "NOT_FOUND");
    let before = state(&server);
    for _ in 0..5 {
        assert_eq!(verdict(&world.admin, &key.plaintext), "VALID");
        assert_eq!(verdict(&world.admin, "no such key"), "NOT_FOUND");
    }
    let after = state(&server);
    // Each asks for the root key and for the key.
    assert_eq!((after.hits - before.hits, after.misses - before.misses), (20, 0));
    assert_eq!((after.keys, after.absent), (1, 1));
}

#[test]
fn what_verified_as_unknown_verifies_as_soon_as_it_is_imported() {
    let database = postgres::fresh_database();
    let nodes = [trusting(&database, ""), trusting(&database, "")];
    let world = World::on(&nodes[0]);
    let (api, migration, there) = (world.api(), migration(&world, "sha256"), at(&nodes[1], &world.admin));
    for round in 0..rounds(20) {
        let text = format!("an old secret {round}");
        for client in [&world.admin, &there, &world.admin, &there] {
            assert_eq!(verdict(client, &text), "NOT_FOUND");
        }
        import(&world, &migration, &api, json!([{"hash": sha256(&text)}]));
        assert_eq!(verdict(&world.admin, &text), "VALID", "at once where it was imported");
        soon("VALID".to_owned(), || verdict(&there, &text));
    }
}

#[test]
fn a_key_that_was_read_before_it_was_disabled_is_not_remembered() {
    let database = postgres::fresh_database();
    let nodes = [trusting(&database, ""), trusting(&database, "")];
    let world = World::on(&nodes[0]);
    let there = at(&nodes[1], &world.admin);
    let api = world.api();
    for _ in 0..rounds(5) {
        let key = world.key(&api, json!({}));
        let hash = Hash::of(&key.plaintext);
        assert_eq!(verdict(&there, &key.plaintext), "VALID");
        let begun = nodes.each_ref().map(|node| node.app.cache.begin());
        let stale = read(&world, &hash).unwrap();
        enable(&world, &key.id, false);
        soon("DISABLED".to_owned(), || verdict(&there, &key.plaintext));
        for (node, begun) in nodes.iter().zip(begun) {
            node.app.cache.remember_key(begun, &world.workspace, &hash, Some(&stale));
        }
        assert_eq!(verdict(&world.admin, &key.plaintext), "DISABLED");
        assert_eq!(verdict(&there, &key.plaintext), "DISABLED");
    }
}

#[test]
fn a_root_key_that_was_read_before_it_was_revoked_is_not_remembered() {
    let server = trusting(postgres::fresh_database(), "");
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({}));
    let (id, verifier) = world.root_key_until(&["api.*.verify_key"], None);
    let hash = Hash::of(verifier.root_key());
    let begun = server.app.cache.begin();
    let stale = read_root_key(&server, &hash);
    operate(&server, |tx| root_keys::revoke(tx, &id));
    server.app.cache.remember_root_key(begun, &hash, &stale);
    assert_eq!(verdict(&verifier, &key.plaintext), "401");
    // The same with what was read before everything was forgotten.
    let begun = server.app.cache.begin();
    server.app.cache.clear();
    server.app.cache.remember_root_key(begun, &hash, &stale);
    assert_eq!(verdict(&verifier, &key.plaintext), "401");
}

#[test]
fn an_absence_that_was_read_before_the_key_was_made_is_not_remembered() {
    let server = trusting(postgres::fresh_database(), "");
    let world = World::on(&server);
    let (api, migration) = (world.api(), migration(&world, "sha256"));
    let hash = Hash::of("an old secret");
    let begun = server.app.cache.begin();
    assert!(read(&world, &hash).is_none());
    import(&world, &migration, &api, json!([{"hash": sha256("an old secret")}]));
    server.app.cache.remember_key(begun, &world.workspace, &hash, None);
    assert_eq!(verdict(&world.admin, "an old secret"), "VALID");
}

#[test]
fn fills_and_changes_at_the_same_time_never_leave_an_old_answer_behind() {
    let server = trusting(postgres::fresh_database(), "");
    let world = World::on(&server);
    let api = world.api();
    for _ in 0..rounds(15) {
        let key = world.key(&api, json!({}));
        // The first verification of a key fills the cache while the key is being disabled.
        thread::scope(|scope| {
            for _ in 0..3 {
                scope
                    .spawn(|| assert!(["VALID", "DISABLED"].contains(&verdict(&world.admin, &key.plaintext).as_str())));
            }
            scope.spawn(|| enable(&world, &key.id, false));
        });
        assert_eq!(verdict(&world.admin, &key.plaintext), "DISABLED");
    }
}

#[test]
fn a_warm_key_and_a_warm_root_key_end_when_the_clock_says_so() {
    let server = trusting(postgres::fresh_database(), "");
    let world = World::on(&server);
    let ends = server.clock.now() + Duration::minutes(10);
    let key = world.key(&world.api(), json!({"expires": ends.timestamp_millis()}));
    let lasting = world.key(&world.api(), json!({}));
    let (_, verifier) = world.root_key_until(&["api.*.verify_key"], Some(ends + Duration::minutes(1)));
    warm(&server, &verifier, &key.plaintext);
    warm(&server, &verifier, &lasting.plaintext);
    let before = state(&server);
    server.clock.advance(ends - server.clock.now() - Duration::seconds(10));
    assert_eq!(verdict(&verifier, &key.plaintext), "VALID");
    server.clock.advance(ends - server.clock.now());
    assert_eq!(verdict(&verifier, &key.plaintext), "EXPIRED");
    assert_eq!(verdict(&verifier, &lasting.plaintext), "VALID");
    server.clock.advance(Duration::minutes(1));
    assert_eq!(verdict(&verifier, &lasting.plaintext), "403");
    assert_eq!(state(&server).misses, before.misses, "all of it was remembered");
}
