//! Connections on which the database takes everything and never says a word again, while new ones are sound: every call is
//! answered in time, and the node heals without a restart.

use crate::freshness::rounds;
use crate::freshness::said;
use crate::freshness::state;
use crate::freshness::trusting;
use crate::freshness::verdict;
use crate::freshness::warm;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::fixtures::MadeKey;
use crate::harness::postgres;
use crate::harness::process;
use crate::harness::proxy::Proxy;
use crate::harness::proxy::Silent;
use serde_json::json;
use std::thread;
use std::time::Duration;
use std::time::Instant;

const FLAGS: &str = "--max-staleness 1s --database-timeout-ms 700";
/// Longest time to any answer: the two seconds that are promised, and one for a busy machine.
const ANSWERED: Duration = Duration::from_secs(3);
/// How soon a node is itself again: one and a half times the bound of a statement until a connection is given up, and a
/// call that notices so.
const HEALED: Duration = Duration::from_secs(5);

/// What is lost stays open in the proxy, which keeps no more than 200 connections.
const MAX_ROUNDS: usize = 10;

/// What each part of the store is asked by, until it works; how long that took. Meanwhile nothing but 503 is said.
fn heals(what: &str, since: Instant, expected: &str, mut ask: impl FnMut() -> String) {
    eventually(what, || {
        let begun = Instant::now();
        let said = ask();
        assert!(begun.elapsed() < ANSWERED, "{what}: answered after {:?}", begun.elapsed());
        assert!(said == expected || said == "503", "{what}: {said}");
        (said == expected).then_some(())
    });
    assert!(since.elapsed() < HEALED, "{what}: healed after {:?}", since.elapsed());
}

fn create(client: &Client, api: &str) -> String {
    client.call("keys.createKey", json!({"apiId": api})).status.to_string()
}

/// Calls that use the pool, the loader and the ledger at the same time, each of which is 503.
fn all_are_unavailable(client: &Client, api: &str, cold: &[MadeKey], spending: &MadeKey) {
    let unavailable = |what: &str, ask: &dyn Fn() -> String| {
        let begun = Instant::now();
        assert_eq!(ask(), "503", "{what}");
        assert!(begun.elapsed() < ANSWERED, "{what}: answered after {:?}", begun.elapsed());
    };
    thread::scope(|scope| {
        for key in cold {
            scope.spawn(|| unavailable("a cold key", &|| verdict(client, &key.plaintext)));
        }
        for _ in 0..12 {
            scope.spawn(|| unavailable("createKey", &|| create(client, api)));
        }
        for _ in 0..4 {
            scope.spawn(|| unavailable("credits", &|| verdict(client, &spending.plaintext)));
        }
    });
}

#[test]
fn connections_that_are_silent_for_ever_are_given_up() {
    let proxy = Proxy::before(&postgres::fresh_database());
    let server = trusting(proxy.url(), FLAGS);
    let world = World::on(&server);
    let api = world.api();
    let plain = world.key(&api, json!({}));
    let spending = world.key(&api, json!({"credits": {"remaining": 1000}}));
    let (client, mut maybe, mut sure) = (&world.admin, 0, 0);
    for round in 0..rounds(2).min(MAX_ROUNDS) {
        let cold: Vec<_> = (0..4).map(|_| world.key(&api, json!({}))).collect();
        for key in [&plain, &spending] {
            warm(&server, client, &key.plaintext);
        }
        let balance = world.get_key(&spending.id)["credits"]["remaining"].as_i64().unwrap();
        // Everything that is open now is lost, in the middle of what it is used for.
        proxy.silence(Silent::All);
        all_are_unavailable(client, &api, &cold, &spending);
        proxy.lose_what_is_silent();
        let since = Instant::now();
        heals("a cold key", since, "VALID", || verdict(client, &cold[round % cold.len()].plaintext));
        heals("createKey", since, "200", || create(client, &api));
        heals("a warm key", since, "VALID", || verdict(client, &plain.plaintext));
        heals("credits", since, "VALID", || {
            maybe += 1;
            let said = verdict(client, &spending.plaintext);
            sure += i64::from(said == "VALID");
            said
        });
        eventually("it trusts what it remembers again", || state(&server).trusted.then_some(()));
        let left = world.get_key(&spending.id)["credits"]["remaining"].as_i64().unwrap();
        let spent = balance - left;
        assert!(
            (1..=4 + maybe).contains(&spent),
            "{spent} were spent by 4 and {maybe} calls, of which {sure} were VALID"
        );
        (maybe, sure) = (0, 0);
    }
    let hanging = server.app.hanging();
    assert!(hanging.iter().any(|(user, count)| *user == "ledger" && *count >= 1), "{hanging:?}");
    // 8 of the pool, 2 of verification, the ledger's and the listener's, each round.
    let most = rounds(2).min(MAX_ROUNDS) * 12 + 4;
    assert!(hanging.iter().map(|(_, count)| count).sum::<usize>() <= most, "{hanging:?}");
    let metrics = client.get("/metrics").text;
    assert!(metrics.contains("keyward_database_hanging{user=\"ledger\"}"), "{metrics}");
}

#[test]
fn what_hangs_is_forgotten_as_soon_as_it_is_answered() {
    let proxy = Proxy::before(&postgres::fresh_database());
    let server = trusting(proxy.url(), FLAGS);
    let world = World::on(&server);
    let api = world.api();
    let spending = world.key(&api, json!({"credits": {"remaining": 100}}));
    warm(&server, &world.admin, &spending.plaintext);
    let (before, balance_before) =
        (server.app.hanging(), world.get_key(&spending.id)["credits"]["remaining"].as_i64().unwrap());
    proxy.silence(Silent::All);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        all_are_unavailable(&world.admin, &api, &[], &spending);
    }
    let hanging = server.app.hanging();
    assert!(
        hanging.iter().filter(|(user, count)| ["pool", "ledger"].contains(user) && *count > 0).count() == 2,
        "{hanging:?}"
    );
    proxy.silence(Silent::None);
    eventually("nobody hangs", || (server.app.hanging() == before).then_some(()));
    let balance = || world.get_key(&spending.id)["credits"]["remaining"].as_i64().unwrap();
    eventually("it is read again", || (create(&world.admin, &api) == "200").then_some(()));
    let left = balance();
    // Those that were told that it is not known were spent by one statement at most, and by none that was not sent yet.
    assert!(left >= balance_before - 2 - 4, "{left} of {balance_before}");
    process::wait(Duration::from_secs(1));
    assert_eq!(balance(), left, "nothing is spent later");
    assert_eq!(said(&world.admin.call("keys.verifyKey", json!({"key": spending.plaintext}))), "VALID");
    assert_eq!(balance(), left - 1);
}
