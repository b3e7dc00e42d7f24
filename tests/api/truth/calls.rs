//! Denied calls of root keys with random permissions.

use crate::harness::Client;
use crate::harness::World;
use crate::ratelimit;
use crate::truth::ensure;
use crate::truth::explain;
use crate::truth::for_each_seed;
use crate::truth::random::Random;
use crate::truth::texts;
use crate::truth::without;
use keyward::authz::action::Action;
use keyward::authz::action::Resource;
use serde_json::Value;
use serde_json::json;

/// Calls of one world.
const CALLS: usize = 20;
const LACKS: &str = "unkey/authorization/insufficient_permissions";

/// A world with two of everything that a tuple can name.
struct Scene<'w> {
    world: &'w World<'w>,
    apis: [String; 2],
    keys: [String; 2],
    identities: [String; 2],
    namespaces: [String; 2],
    root_keys: [String; 2],
}

/// A request: operation, body, and what it is about, if a simulation can be told.
struct Asked {
    operation: &'static str,
    body: Value,
    resource: Option<String>,
    /// Whether the row's own needs are all that it asks for.
    plain: bool,
}

impl<'w> Scene<'w> {
    fn make(world: &'w World<'w>) -> Self {
        let apis = [world.api(), world.api()];
        let keys = [0, 1].map(|index: usize| world.key(&apis[index], json!({})).id);
        let identities = ["acme", "globex"].map(|name| {
            let made = world.admin.ok("identities.createIdentity", json!({"externalId": name}));
            made["identityId"].as_str().unwrap().to_owned()
        });
        let namespaces = ["emails", "uploads"].map(|name| ratelimit::namespace(world, name));
        let root_keys = [(); 2].map(|()| world.root_key_until::<&str>(&[], None).0.to_string());
        world.admin.ok("permissions.createRole", json!({"name": "editor", "permissions": ["docs.read"]}));
        Self { world, apis, keys, identities, namespaces, root_keys }
    }

    /// A tuple that may be held.
    fn tuple(&self, random: &mut Random, action: Action) -> String {
        let ids: &[String] = match action.resource() {
            Resource::Api => &self.apis,
            Resource::Identity => &self.identities,
            Resource::Ratelimit => &self.namespaces,
            Resource::RootKey => &self.root_keys,
            Resource::Rbac | Resource::Portal | Resource::Decision | Resource::AuditLog => &[],
        };
        if ids.is_empty() || random.percent(40) { action.on("*") } else { action.on(random.pick::<String>(ids)) }
    }

    fn tuples(&self, random: &mut Random) -> Vec<String> {
        let percent = *random.pick(&[0, 10, 30, 60]);
        let mut actions = random.some(Action::ALL, percent);
        // Whoever reads records is told more than whoever was denied; that is another test.
        actions.retain(|action| *action != Action::ReadDecision);
        let mut tuples: Vec<_> = actions.into_iter().map(|action| self.tuple(random, action)).collect();
        tuples.sort();
        tuples
    }

    fn asked(&self, random: &mut Random) -> Asked {
        let at = random.below(2);
        let (api, key, identity) = (&self.apis[at], &self.keys[at], &self.identities[at]);
        let (namespace, root_key) = (&self.namespaces[at], &self.root_keys[at]);
        let name = format!("n{}", random.below(1_000_000));
        let about = |resource: &String| Some(resource.clone());
        let (operation, body, resource, plain) = match random.below(26) {
            0 => ("apis.createApi", json!({"name": name}), None, true),
            1 => ("apis.getApi", json!({"apiId": api}), about(api), true),
            2 => ("apis.updateApi", json!({"apiId": api, "name": name}), about(api), true),
            3 => ("apis.listKeys", json!({"apiId": api}), about(api), true),
            4 => ("keys.createKey", json!({"apiId": api}), about(api), true),
            5 => ("keys.getKey", json!({"keyId": key}), about(api), true),
            6 => ("keys.updateKey", json!({"keyId": key, "name": name}), about(api), true),
            7 => ("keys.updateCredits", json!({"keyId": key, "operation": "set", "value": 5}), about(api), true),
            8 => ("keys.addPermissions", json!({"keyId": key, "permissions": ["docs.read"]}), about(api), true),
            9 => ("keys.setPermissions", json!({"keyId": key, "permissions": [name]}), about(api), false),
            10 => ("keys.addRoles", json!({"keyId": key, "roles": ["editor"]}), about(api), true),
            11 => ("analytics.getUsage", json!({"apiId": api, "from": 0, "to": 1}), about(api), true),
            12 => ("identities.getIdentity", json!({"identity": identity}), about(identity), true),
            13 => ("identities.updateIdentity", json!({"identity": identity, "enabled": true}), about(identity), true),
            14 => (
                "identities.setPermissions",
                json!({"identity": identity, "permissions": ["docs.read"]}),
                about(identity),
                true,
            ),
            15 => ("permissions.createRole", json!({"name": name, "permissions": [name]}), None, false),
            16 => ("permissions.createPermission", json!({"name": name, "slug": name}), None, true),
            17 => ("permissions.listRoles", json!({}), None, true),
            18 => {
                ("permissions.setRolePermissions", json!({"role": "editor", "permissions": ["docs.read"]}), None, true)
            }
            19 => (
                "ratelimit.setOverride",
                json!({"namespace": namespace, "identifier": name, "limit": 1, "duration": 1000}),
                about(namespace),
                true,
            ),
            20 => (
                "ratelimit.multiLimit",
                json!(self.namespaces.each_ref().map(|namespace| ratelimit::ask(namespace, &name, 9))),
                None,
                false,
            ),
            21 => ("rootKeys.getKey", json!({"keyId": root_key}), about(root_key), true),
            22 => ("rootKeys.updateKey", json!({"keyId": root_key, "name": name}), about(root_key), true),
            23 => {
                let given: Vec<_> = (0..3).map(|_| self.tuple(random, *random.clone().pick(Action::ALL))).collect();
                ("rootKeys.createKey", json!({"permissions": given}), None, false)
            }
            24 => ("rootKeys.listKeys", json!({}), None, true),
            _ => ("apis.listApis", json!({}), None, true),
        };
        Asked { operation, body, resource, plain }
    }

    fn set(&self, id: &str, tuples: &[String]) {
        self.world.admin.ok("rootKeys.updateKey", json!({"keyId": id, "permissions": tuples}));
    }

    fn simulate(&self, id: &str, asked: &Asked, grant: &[String]) -> bool {
        let mut body = json!({"rootKeyId": id, "operation": asked.operation, "if": {"grant": grant}});
        if let Some(resource) = &asked.resource {
            body["resource"] = json!(resource);
        }
        self.world.admin.ok("decisions.simulate", body)["allowed"].as_bool().unwrap()
    }
}

fn together(held: &[String], missing: &[String]) -> Vec<String> {
    held.iter().chain(missing).cloned().collect()
}

#[test]
fn what_is_said_of_denied_calls_is_true() {
    for_each_seed(&[3], |mut random| {
        let world = World::new();
        let scene = Scene::make(&world);
        let mut denied = 0;
        for _ in 0..CALLS {
            let held = scene.tuples(&mut random);
            let (id, client) = world.root_key_until(&held, None);
            denied += usize::from(tried(&scene, id.as_str(), &client, &held, &scene.asked(&mut random)));
        }
        assert!(denied > CALLS / 4, "only {denied} denials");
    });
}

/// Says whether the call was denied for lack of permissions.
fn tried(scene: &Scene<'_>, id: &str, client: &Client, held: &[String], asked: &Asked) -> bool {
    let answer = client.call(asked.operation, asked.body.clone());
    if answer.code() != LACKS {
        ensure([200, 404].contains(&answer.status), "neither done nor hidden", &[&answer, &held]);
        if asked.plain && answer.status == 200 {
            ensure(scene.simulate(id, asked, &[]), "it was done and would be denied", &[&asked.operation, &held]);
        }
        return false;
    }
    let request = answer.body["meta"]["requestId"].as_str().unwrap();
    assert_eq!(answer.body["error"]["decision"], json!(request));
    let record = explain(&scene.world.admin, request);
    let about: [&dyn std::fmt::Debug; 4] = [&asked.operation, &asked.body, &held, &record];
    let complete = texts(&record["missing"]);
    ensure(!complete.is_empty() && record["now"]["allowed"] == json!(false), "nothing is missing", &about);
    for tuple in record["held"].as_array().unwrap() {
        let tuple = tuple["permission"].as_str().unwrap();
        ensure(held.iter().any(|held| held == tuple), "it is not held", &[&tuple, &about]);
    }
    if asked.plain {
        ensure(!scene.simulate(id, asked, &[]), "it was denied and would be done", &about);
    }
    // What the record says, and what the answer itself has said.
    for missing in [complete, texts(&answer.body["error"]["missing"])] {
        for index in 0..missing.len() {
            scene.set(id, &together(held, &without(&missing, index)));
            let again = client.call(asked.operation, asked.body.clone());
            ensure(again.status != 200, "needless", &[&missing[index], &about]);
        }
        let before = scene.world.server.clock.now().timestamp_millis();
        scene.set(id, &together(held, &missing));
        let now = explain(&scene.world.admin, request)["now"].clone();
        ensure(now["allowed"] == json!(true), "it was granted", &[&now, &about]);
        ensure(now["because"][0]["event"] == "rootKey.update", "not the change", &[&now, &about]);
        ensure(now["since"].as_i64().unwrap() >= before, "not since then", &[&now, &about]);
        let again = client.call(asked.operation, asked.body.clone());
        let unseen = now["text"].as_str().unwrap().contains("was not looked up");
        let passed = match again.status {
            // What it makes may be there since it was tried before.
            200 | 409 => true,
            // Denied before anything was looked up (rule 1), which the record says.
            404 => unseen,
            _ => again.code() == LACKS && (unseen || !asked.plain) && further(&record, &again.body, &missing),
        };
        ensure(passed, "what was missing was not all", &[&again, &now, &about]);
        if asked.plain {
            scene.set(id, held);
            let foretold = scene.simulate(id, asked, &missing);
            ensure(foretold == matches!(again.status, 200 | 409), "it was foretold otherwise", &[&again, &about]);
        }
        scene.set(id, held);
        let now = explain(&scene.world.admin, request)["now"].clone();
        ensure(now["allowed"] == json!(false), "it was taken away", &[&now, &about]);
    }
    true
}

/// Whether a further denial is one that could not be seen before: the first one was before anything was looked up (rule 1), or
/// before it was known that something has to be made. Then nothing that is missing now was called missing then.
fn further(record: &Value, again: &Value, granted: &[String]) -> bool {
    let required = |value: &Value| value[0].as_array().map_or(0, Vec::len);
    let missing = texts(&again["error"]["missing"]);
    let more = required(&again["error"]["required"]) > required(&record["required"]["permissions"]);
    more && missing.iter().all(|tuple| !granted.contains(tuple))
}
