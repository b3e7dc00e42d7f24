//! Rate limits of identities: given, shown, replaced, deleted (contract/identities.md).

use crate::harness::World;
use crate::identities::get;
use crate::keys::rate_limits::bounds;
use crate::keys::rate_limits::faults;
use crate::keys::rate_limits::ids;
use crate::keys::rate_limits::without_ids;
use serde_json::Value;
use serde_json::json;

const CREATE: &str = "identities.createIdentity";
const UPDATE: &str = "identities.updateIdentity";
const INVALID: &str = "unkey/application/invalid_input";

fn limit(name: &str, limit: i64) -> Value {
    json!({"name": name, "limit": limit, "duration": 60_000, "autoApply": false})
}

/// A new identity with these limits.
fn create(world: &World<'_>, external_id: &str, limits: Value) {
    world.admin.ok(CREATE, json!({"externalId": external_id, "ratelimits": limits}));
}

fn update(world: &World<'_>, external_id: &str, limits: Value) -> Value {
    world.admin.ok(UPDATE, json!({"identity": external_id, "ratelimits": limits}))
}

#[test]
fn what_an_identity_is_given_is_shown_by_name_wherever_it_is_shown() {
    let world = World::new();
    let (given, expected) = bounds();
    create(&world, "made", given.clone());
    create(&world, "none", json!([]));
    create(&world, "updated", json!([]));
    let answer = update(&world, "updated", given);
    assert_eq!(answer, get(&world, "updated"), "the answer is what is stored");
    let listed = world.admin.ok("identities.listIdentities", json!({}));
    for (index, name) in [(0, "made"), (2, "updated")] {
        let shown = get(&world, name);
        assert_eq!(without_ids(&shown["ratelimits"]), expected);
        assert_eq!(listed[index], shown);
    }
    assert!(get(&world, "none").get("ratelimits").is_none());
    assert!(listed[1].get("ratelimits").is_none());
}

#[test]
fn of_a_name_that_comes_twice_a_new_identity_gets_the_last() {
    let world = World::new();
    create(&world, "a", json!([limit("twice", 1), limit("once", 2), limit("twice", 3)]));
    assert_eq!(without_ids(&get(&world, "a")["ratelimits"]), json!([limit("once", 2), limit("twice", 3)]));
    let create = "ratelimit.create";
    assert_eq!(world.audit(), ["identity.create", create, create], "what is not stored is not audited");
}

#[test]
fn an_update_refuses_a_name_that_comes_twice_and_names_each_repetition() {
    let world = World::new();
    create(&world, "a", json!([limit("twice", 1)]));
    let reader = world.root_key(&["identity.*.read_identity"]);
    let before = world.everything();
    let limits = json!([limit("twice", 1), limit("Twice", 1), limit("twice", 2), limit("twice", 3)]);
    let answer = world.admin.call(UPDATE, json!({"identity": "a", "enabled": false, "ratelimits": limits}));
    answer.refused(400, INVALID);
    assert_eq!(answer.locations(), ["body.ratelimits[2].name", "body.ratelimits[3].name"]);
    assert!(answer.detail().contains("'twice'"), "{}", answer.detail());
    // In the order of the contract: the permission, the names, the metadata, the identity.
    let body = json!({"identity": "never", "ratelimits": limits, "meta": crate::identities::long((1 << 20) + 1)});
    reader.call(UPDATE, body.clone()).refused(403, "unkey/authorization/insufficient_permissions");
    assert_eq!(world.admin.call(UPDATE, body).locations().first(), Some(&"body.ratelimits[2].name"));
    let body = json!({"identity": "never", "ratelimits": [limit("once", 1)]});
    world.admin.call(UPDATE, body).refused(404, "unkey/data/identity_not_found");
    assert_eq!(world.everything(), before);
}

#[test]
fn what_is_out_of_bounds_is_refused_where_it_stands_and_nothing_changes() {
    let world = World::new();
    create(&world, "a", json!([limit("requests", 1)]));
    let fifty_one: Vec<_> = (0..51).map(|number| limit(&format!("name {number}"), 1)).collect();
    let lists = [json!(null), json!({}), json!(fifty_one)].map(|list| (list, String::new()));
    let items = faults().into_iter().map(|(item, place)| (json!([limit("good", 1), item]), format!("[1]{place}")));
    let before = world.everything();
    for (list, place) in items.chain(lists) {
        for (operation, name) in [(CREATE, "externalId"), (UPDATE, "identity")] {
            let answer = world.admin.call(operation, json!({name: "a", "enabled": false, "ratelimits": list}));
            let mut places = answer.refused(400, INVALID).locations();
            places.dedup();
            assert_eq!(places, [format!("body.ratelimits{place}")], "{operation} {list}");
        }
    }
    assert_eq!(world.everything(), before);
    let fifty = update(&world, "a", json!(fifty_one.get(..50)));
    assert_eq!(fifty["ratelimits"].as_array().unwrap().len(), 50);
}

#[test]
fn an_update_replaces_the_whole_set_and_a_name_that_stays_keeps_its_id() {
    let world = World::new();
    create(&world, "a", json!([limit("aaa", 1), limit("bbb", 2), limit("ccc", 3)]));
    let before = ids(&get(&world, "a")["ratelimits"]);
    let kept = world.admin.ok(UPDATE, json!({"identity": "a", "meta": {"absent": "keeps"}}));
    assert_eq!(ids(&kept["ratelimits"]), before);
    let after = update(&world, "a", json!([limit("ddd", 4), limit("bbb", 20), limit("aaa", 1)]));
    assert_eq!(without_ids(&after["ratelimits"]), json!([limit("aaa", 1), limit("bbb", 20), limit("ddd", 4)]));
    assert_eq!(after["meta"], json!({"absent": "keeps"}), "the answer shows what was not sent, too");
    let found = ids(&after["ratelimits"]);
    assert_eq!(found[..2], before[..2], "same names, same ids");
    let cleared = update(&world, "a", json!([]));
    assert!(cleared.get("ratelimits").is_none());
    assert_eq!(cleared, get(&world, "a"));
    assert_ne!(ids(&update(&world, "a", json!([limit("aaa", 1)]))["ratelimits"]), before[..1]);
}

#[test]
fn each_change_of_a_limit_is_audited_and_nothing_else() {
    let world = World::new();
    create(&world, "a", json!([limit("aaa", 1), limit("bbb", 2), limit("ccc", 3)]));
    let wanted = json!([limit("aaa", 1), limit("bbb", 20), limit("ddd", 4)]);
    update(&world, "a", wanted.clone());
    update(&world, "a", wanted);
    world.admin.call("identities.deleteIdentity", json!({"identity": "a"})).refused(200, "");
    let mut expected = vec!["identity.create"];
    expected.extend(["ratelimit.create"; 3]);
    let mut found = world.audit();
    assert_eq!(found.drain(..4).collect::<Vec<_>>(), expected);
    // Within one request the order says nothing.
    for (count, mut expected) in [
        (4, vec!["identity.update", "ratelimit.create", "ratelimit.delete", "ratelimit.update"]),
        (1, vec!["identity.update"]),
        (4, vec!["identity.delete", "ratelimit.delete", "ratelimit.delete", "ratelimit.delete"]),
    ] {
        let mut request: Vec<_> = found.drain(..count).collect();
        request.sort();
        expected.sort_unstable();
        assert_eq!(request, expected);
    }
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(world.everything()["rate_limits"], json!([]));
}

#[test]
fn every_key_of_the_identity_shows_them_at_once() {
    let world = World::new();
    let api = world.api();
    create(&world, "a", json!([limit("aaa", 1)]));
    let keys = [(); 2].map(|()| world.key(&api, json!({"externalId": "a"})));
    let stranger = world.key(&api, json!({"externalId": "b"}));
    let shown = |id: &str| world.get_key(id)["identity"]["ratelimits"].clone();
    for limits in [json!([limit("aaa", 1)]), json!([limit("aaa", 2), limit("bbb", 3)]), json!([])] {
        let answer = update(&world, "a", limits);
        for key in &keys {
            assert_eq!(shown(&key.id), answer["ratelimits"]);
            assert_eq!(world.admin.ok("keys.whoami", json!({"key": key.plaintext})), world.get_key(&key.id));
        }
        assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api}))[0], world.get_key(&keys[0].id));
        assert_eq!(shown(&stranger.id), Value::Null);
    }
    update(&world, "a", json!([limit("aaa", 1)]));
    world.admin.call("identities.deleteIdentity", json!({"identity": "a"})).refused(200, "");
    assert!(world.get_key(&keys[0].id).get("identity").is_none());
    // Another identity of the same name starts without.
    create(&world, "a", json!([]));
    assert!(get(&world, "a").get("ratelimits").is_none());
}

#[test]
fn a_conflict_gives_the_identity_that_there_is_no_limits() {
    let world = World::new();
    create(&world, "a", json!([limit("aaa", 1)]));
    let before = world.everything();
    let answer = world.admin.call(CREATE, json!({"externalId": "a", "ratelimits": [limit("bbb", 1)]}));
    answer.refused(409, "unkey/data/identity_already_exists");
    assert_eq!(world.everything(), before);
}

#[test]
fn racing_updates_all_answer_what_they_stored_and_one_set_remains() {
    let world = World::new();
    create(&world, "a", json!([limit("shared", 99)]));
    let shared = ids(&get(&world, "a")["ratelimits"])[0].clone();
    let sets: Vec<_> =
        (0..8).map(|number| json!([limit(&format!("own {}", number % 4), 1), limit("shared", number + 1)])).collect();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            sets.iter().map(|set| scope.spawn(|| (set.clone(), update(&world, "a", set.clone())))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (set, answer) in &answers {
        assert_eq!(&without_ids(&answer["ratelimits"]), set);
        assert!(ids(&answer["ratelimits"]).contains(&shared));
    }
    let last = get(&world, "a")["ratelimits"].clone();
    assert!(answers.iter().any(|(_, answer)| answer["ratelimits"] == last), "{last}");
}
