//! Rate limits of keys: given, shown, replaced, copied (keys.md sections 4, 11).

use crate::harness::World;
use crate::migrations::import;
use crate::migrations::migration;
use crate::migrations::sha256;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Instant;

const INVALID: &str = "unkey/application/invalid_input";
const MOST: i64 = i64::MAX;

/// A limit as requests define it.
fn limit(name: &str, limit: i64) -> Value {
    json!({"name": name, "limit": limit, "duration": 60_000, "autoApply": true})
}

/// The key's own limits, each checked to have an id, and without it.
fn shown(world: &World<'_>, key: &str) -> Value {
    without_ids(&world.get_key(key)["ratelimits"])
}

/// The same limits without their ids.
pub fn without_ids(limits: &Value) -> Value {
    let mut limits = limits.clone();
    for limit in limits.as_array_mut().into_iter().flatten() {
        let id = limit.as_object_mut().unwrap().shift_remove("id").unwrap();
        assert!(id.as_str().unwrap().starts_with("rl_"));
    }
    limits
}

/// Ids by name, in the order of names.
pub fn ids(limits: &Value) -> Vec<(String, String)> {
    let text = |limit: &Value, field: &str| limit[field].as_str().unwrap().to_owned();
    limits.as_array().into_iter().flatten().map(|limit| (text(limit, "name"), text(limit, "id"))).collect()
}

/// Items of `ratelimits` with a fault, and where it stands below the item.
pub fn faults() -> Vec<(Value, &'static str)> {
    let with = |field: &str, value: Value| {
        let mut limit = limit("requests", 1);
        limit[field] = value;
        limit
    };
    vec![
        (json!(null), ""),
        (json!("requests"), ""),
        (with("name", json!("ab")), ".name"),
        (with("name", json!("x".repeat(129))), ".name"),
        (with("name", json!("a\0b")), ".name"),
        (with("name", json!(null)), ".name"),
        (with("limit", json!(0)), ".limit"),
        (with("limit", json!(-1)), ".limit"),
        (with("limit", json!(1.5)), ".limit"),
        (with("limit", json!(1.0)), ".limit"),
        (with("limit", json!("1")), ".limit"),
        (with("limit", json!(1_u64 << 63)), ".limit"),
        (with("duration", json!(999)), ".duration"),
        (with("duration", json!(null)), ".duration"),
        (with("duration", json!(1_u64 << 63)), ".duration"),
        (with("autoApply", json!(null)), ".autoApply"),
        (with("autoApply", json!(1)), ".autoApply"),
        (json!({"limit": 1, "duration": 1000, "autoApply": true}), ".name"),
        (json!({"name": "requests", "duration": 1000, "autoApply": true}), ".limit"),
        (json!({"name": "requests", "limit": 1, "autoApply": true}), ".duration"),
    ]
}

/// Definitions at every bound, and how they are shown, by name.
pub fn bounds() -> (Value, Value) {
    let long = "🔑".repeat(128);
    let given = json!([
        {"name": long, "limit": MOST, "duration": MOST, "autoApply": false},
        {"name": "abc", "limit": 1, "duration": 1000, "autoApply": true},
        {"name": "ABC", "limit": 2, "duration": 1001},
        {"name": "   ", "limit": 3, "duration": 1002, "colour": "red", "Limit": null, "id": "rl_1"},
    ]);
    let expected = json!([
        {"name": "   ", "limit": 3, "duration": 1002, "autoApply": false},
        {"name": "ABC", "limit": 2, "duration": 1001, "autoApply": false},
        {"name": "abc", "limit": 1, "duration": 1000, "autoApply": true},
        {"name": long, "limit": MOST, "duration": MOST, "autoApply": false},
    ]);
    (given, expected)
}

#[test]
fn what_a_key_is_given_is_shown_by_name_wherever_keys_are_shown() {
    let world = World::new();
    let (api, migration) = (world.api(), migration(&world, "sha256"));
    let (given, expected) = bounds();
    let key = world.key(&api, json!({"ratelimits": given}));
    let hash = json!([{"hash": sha256("imported"), "ratelimits": given}]);
    let imported = import(&world, &migration, &api, hash)[0].clone();
    for (id, plaintext) in [(key.id, key.plaintext), (imported, "imported".to_owned())] {
        let get = world.get_key(&id);
        assert_eq!(without_ids(&get["ratelimits"]), expected);
        assert_eq!(world.admin.ok("keys.whoami", json!({"key": plaintext})), get);
        assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api, "cursor": id, "limit": 1}))[0], get);
    }
    assert!(world.get_key(&world.key(&api, json!({"ratelimits": []})).id).get("ratelimits").is_none());
}

#[test]
fn those_of_the_owner_stand_with_the_owner() {
    let world = World::new();
    let owner = json!({"externalId": "owner", "ratelimits": [limit("shared", 1), limit("both", 2)]});
    world.admin.ok("identities.createIdentity", owner);
    let fields = json!({"externalId": "owner", "ratelimits": [limit("own", 3), limit("both", 4)]});
    let key = world.key(&world.api(), fields).id;
    let get = world.get_key(&key);
    assert_eq!(without_ids(&get["ratelimits"]), json!([limit("both", 4), limit("own", 3)]));
    assert_eq!(without_ids(&get["identity"]["ratelimits"]), json!([limit("both", 2), limit("shared", 1)]));
    // Taking the owner away takes its limits away, and no other.
    world.admin.ok("keys.updateKey", json!({"keyId": key, "externalId": null}));
    assert_eq!(world.get_key(&key)["ratelimits"], get["ratelimits"]);
}

#[test]
fn of_a_name_that_comes_twice_the_last_one_counts() {
    let world = World::new();
    let (api, migration) = (world.api(), migration(&world, "sha256"));
    let many: Vec<_> = (0..50).map(|number| limit(&format!("name {}", number % 7), number + 1)).collect();
    let expected: Vec<_> =
        (0..7).map(|name| limit(&format!("name {name}"), (0..50).rfind(|n| n % 7 == name).unwrap() + 1)).collect();
    let made = world.key(&api, json!({"ratelimits": many})).id;
    let changed = world.key(&api, json!({"ratelimits": [limit("name 3", 1), limit("other", 1)]})).id;
    world.admin.ok("keys.updateKey", json!({"keyId": changed, "ratelimits": many}));
    let hash = json!([{"hash": sha256("imported"), "ratelimits": many}]);
    let imported = import(&world, &migration, &api, hash)[0].clone();
    for key in [made, changed, imported] {
        assert_eq!(shown(&world, &key), json!(expected));
    }
    // A name in another letter case is another name.
    let key = world.key(&api, json!({"ratelimits": [limit("name", 1), limit("Name", 2)]})).id;
    assert_eq!(shown(&world, &key), json!([limit("Name", 2), limit("name", 1)]));
}

#[test]
fn what_is_out_of_bounds_is_refused_where_it_stands_and_nothing_changes() {
    let world = World::new();
    let (api, migration) = (world.api(), migration(&world, "sha256"));
    let key = world.key(&api, json!({"ratelimits": [limit("requests", 1)]})).id;
    let fifty_one: Vec<_> = (0..51).map(|number| limit(&format!("name {number}"), 1)).collect();
    let lists =
        [(json!(null), ""), (json!({}), ""), (json!(fifty_one), "")].map(|(list, place)| (list, place.to_owned()));
    let items = faults().into_iter().map(|(item, place)| (json!([limit("good", 1), item]), format!("[1]{place}")));
    let before = world.everything();
    for (list, place) in items.chain(lists) {
        let keys = json!([{"hash": sha256("a"), "externalId": "new", "ratelimits": list}]);
        for (operation, body, field) in [
            ("keys.createKey", json!({"apiId": api, "externalId": "new", "ratelimits": list}), "body.ratelimits"),
            ("keys.updateKey", json!({"keyId": key, "name": "new", "ratelimits": list}), "body.ratelimits"),
            (
                "keys.migrateKeys",
                json!({"apiId": api, "migrationId": migration, "keys": keys}),
                "body.keys[0].ratelimits",
            ),
        ] {
            let answer = world.admin.call(operation, body);
            let mut places = answer.refused(400, INVALID).locations();
            places.dedup();
            assert_eq!(places, [format!("{field}{place}")], "{operation} {list}");
        }
    }
    assert_eq!(world.everything(), before);
    world.admin.ok("keys.updateKey", json!({"keyId": key, "ratelimits": fifty_one.get(..50)}));
    assert_eq!(shown(&world, &key).as_array().unwrap().len(), 50);
}

#[test]
fn an_update_replaces_the_whole_set_and_a_name_that_stays_keeps_its_id() {
    let world = World::new();
    let owner = json!({"externalId": "owner", "ratelimits": [limit("shared", 1)]});
    world.admin.ok("identities.createIdentity", owner);
    let fields = json!({"externalId": "owner", "ratelimits": [limit("aaa", 1), limit("bbb", 2), limit("ccc", 3)]});
    let key = world.key(&world.api(), fields).id;
    let before = world.get_key(&key);
    let update = |fields: Value| {
        let mut body = fields;
        body["keyId"] = json!(key);
        world.admin.ok("keys.updateKey", body);
        world.get_key(&key)
    };
    assert_eq!(update(json!({"name": "absent keeps"}))["ratelimits"], before["ratelimits"]);
    let after = update(json!({"ratelimits": [limit("ddd", 4), limit("bbb", 20), limit("aaa", 1)]}));
    assert_eq!(without_ids(&after["ratelimits"]), json!([limit("aaa", 1), limit("bbb", 20), limit("ddd", 4)]));
    let (before_ids, after_ids) = (ids(&before["ratelimits"]), ids(&after["ratelimits"]));
    assert_eq!(before_ids[..2], after_ids[..2], "same names, same ids");
    assert!(before_ids.iter().all(|(_, id)| *id != after_ids[2].1));
    // Each field can change under the same id.
    for changed in [
        json!({"name": "aaa", "limit": 9, "duration": 60_000, "autoApply": true}),
        json!({"name": "aaa", "limit": 9, "duration": 1000, "autoApply": true}),
        json!({"name": "aaa", "limit": 9, "duration": 1000, "autoApply": false}),
    ] {
        let after = update(json!({"ratelimits": [changed]}));
        assert_eq!(without_ids(&after["ratelimits"]), json!([changed]));
        assert_eq!(ids(&after["ratelimits"])[0], before_ids[0]);
    }
    let cleared = update(json!({"ratelimits": []}));
    assert!(cleared.get("ratelimits").is_none());
    assert_eq!(cleared["identity"]["ratelimits"], before["identity"]["ratelimits"], "the owner's are untouched");
    // A name that comes back is a new limit.
    assert_ne!(ids(&update(json!({"ratelimits": [limit("aaa", 1)]}))["ratelimits"])[0], before_ids[0]);
}

#[test]
fn each_change_of_a_limit_is_audited_and_nothing_else() {
    let world = World::new();
    let fields = json!({"ratelimits": [limit("aaa", 1), limit("bbb", 2), limit("ccc", 3)]});
    let key = world.key(&world.api(), fields).id;
    let create = "ratelimit.create";
    assert_eq!(world.audit(), ["api.create", "key.create", create, create, create]);
    let limits = world.get_key(&key)["ratelimits"].clone();
    let body = json!({"keyId": key, "ratelimits": [limit("aaa", 1), limit("bbb", 20), limit("ddd", 4)]});
    let answer = world.admin.call("keys.updateKey", body.clone());
    let rows = world.rows(
        "SELECT event, correlation_id, resources FROM audit_log WHERE workspace_id = $ws ORDER BY id DESC LIMIT 4",
    );
    assert!(rows.iter().all(|row| row["correlation_id"] == answer.body["meta"]["requestId"]));
    let mut told: Vec<_> =
        rows.iter().map(|row| (row["event"].as_str().unwrap(), row["resources"][1]["name"].clone())).collect();
    told.sort_by_key(|(event, _)| event.to_owned());
    assert_eq!(told[0].0, "key.update");
    let expected = [(create, json!("ddd")), ("ratelimit.delete", json!("ccc")), ("ratelimit.update", json!("bbb"))];
    assert_eq!(told[1..], expected);
    let update = rows.iter().find(|row| row["event"] == "ratelimit.update").unwrap();
    let expected = json!([{"type": "key", "id": key}, {"type": "ratelimit", "id": limits[1]["id"], "name": "bbb"}]);
    assert_eq!(update["resources"], expected);
    // The same once more is a change of the key alone.
    world.admin.ok("keys.updateKey", body);
    assert_eq!(world.audit().len(), 5 + 4 + 1);
}

#[test]
fn the_same_limits_from_many_clients_end_as_one_set() {
    let world = World::new();
    let key = world.key(&world.api(), json!({})).id;
    let limits: Vec<_> = (0..10).map(|number| limit(&format!("name {number}"), 1)).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| world.admin.ok("keys.updateKey", json!({"keyId": key, "ratelimits": limits})));
        }
    });
    assert_eq!(shown(&world, &key), json!(limits));
    assert_eq!(world.audit().iter().filter(|event| *event == "ratelimit.create").count(), 10);
}

#[test]
fn different_limits_from_many_clients_end_with_one_of_the_sets() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"ratelimits": [limit("shared", 99)]})).id;
    let shared = ids(&world.get_key(&key)["ratelimits"])[0].clone();
    let sets: Vec<_> =
        (0..6).map(|number| json!([limit(&format!("own {number}"), 1), limit("shared", number + 1)])).collect();
    std::thread::scope(|scope| {
        for set in &sets {
            let (world, key) = (&world, &key);
            scope.spawn(move || world.admin.ok("keys.updateKey", json!({"keyId": key, "ratelimits": set})));
        }
    });
    let found = world.get_key(&key)["ratelimits"].clone();
    assert!(sets.contains(&without_ids(&found)), "{found}");
    assert!(ids(&found).contains(&shared));
}

#[test]
fn a_reroll_copies_them_under_new_ids() {
    let world = World::new();
    let owner = json!({"externalId": "owner", "ratelimits": [limit("shared", 1)]});
    world.admin.ok("identities.createIdentity", owner);
    let (given, expected) = bounds();
    let old = world.key(&world.api(), json!({"externalId": "owner", "ratelimits": given})).id;
    let new = world.admin.ok("keys.rerollKey", json!({"keyId": old, "expiration": null}))["keyId"].clone();
    let (old, new) = (world.get_key(&old), world.get_key(new.as_str().unwrap()));
    assert_eq!(without_ids(&new["ratelimits"]), expected);
    assert_eq!(without_ids(&old["ratelimits"]), expected);
    let all: BTreeSet<_> = [&old, &new].into_iter().flat_map(|key| ids(&key["ratelimits"])).collect();
    assert_eq!(all.len(), 8);
    assert_eq!(new["identity"], old["identity"], "the owner's are not copied");
}

#[test]
fn an_erased_key_leaves_no_limits() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"ratelimits": [limit("requests", 1)]})).id;
    world.admin.ok("keys.deleteKey", json!({"keyId": key, "permanent": true}));
    assert_eq!(world.everything()["rate_limits"], json!([]));
}

#[test]
fn an_import_that_fails_for_one_key_limits_the_others_alone() {
    let world = World::new();
    let (api, migration) = (world.api(), migration(&world, "sha256"));
    let credits = json!({"remaining": 3});
    let key =
        |secret: &str, name: &str| json!({"hash": sha256(secret), "ratelimits": [limit(name, 1)], "credits": credits});
    import(&world, &migration, &api, json!([key("known", "first")]));
    let keys = json!([key("known", "again"), key("fresh", "fresh"), key("fresh", "twice")]);
    let body = json!({"apiId": api, "migrationId": migration, "keys": keys});
    assert_eq!(world.admin.ok("keys.migrateKeys", body)["migrated"].as_array().unwrap().len(), 1);
    let names = world.rows("SELECT name FROM rate_limits WHERE workspace_id = $ws ORDER BY name");
    assert_eq!(names, [json!({"name": "first"}), json!({"name": "fresh"})]);
    assert_eq!(world.everything()["credits"].as_array().unwrap().len(), 2);
}

/// With credits and limits for each the statements are as few; how long it takes is printed with `--nocapture`.
#[test]
fn five_thousand_keys_with_credits_and_limits_are_imported_by_one_request() {
    let world = World::new();
    let (api, migration) = (world.api(), migration(&world, "sha256"));
    let limits: Vec<_> = ["requests", "tokens", "uploads"]
        .map(|name| json!({"name": name, "limit": 100, "duration": 60_000, "autoApply": true}))
        .into();
    let keys: Value = (0..5_000)
        .map(|number| {
            let refill = json!({"interval": "monthly", "amount": 500, "refillDay": 1 + number % 31});
            json!({
                "hash": sha256(&format!("secret {number}")),
                "credits": {"remaining": number, "refill": refill},
                "ratelimits": limits,
            })
        })
        .collect();
    let begun = Instant::now();
    let ids = import(&world, &migration, &api, keys);
    println!("5,000 keys, 5,000 balances, 15,000 limits: {:?}", begun.elapsed());
    assert_eq!(ids.len(), 5_000);
    for number in [0, 999, 1_000, 4_999] {
        let shown = world.get_key(&ids[number]);
        assert_eq!(shown["credits"]["remaining"], number);
        assert_eq!(shown["credits"]["refill"]["refillDay"], 1 + number % 31);
        assert_eq!(shown["ratelimits"].as_array().unwrap().len(), 3);
    }
    let count =
        |table: &str| world.rows(&format!("SELECT count(*) FROM {table} WHERE workspace_id = $ws"))[0]["count"].clone();
    assert_eq!((count("credits"), count("rate_limits")), (json!(5_000), json!(15_000)));
}
