//! Denied verifications in random worlds.

use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::truth::ensure;
use crate::truth::explain;
use crate::truth::for_each_seed;
use crate::truth::random::Random;
use crate::truth::texts;
use crate::truth::without;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

const SLUGS: &[&str] = &["a.read", "a.write", "b.read", "b.write", "c:x", "d-e", "f", "g"];
const ROLES: &[&str] = &["reader", "writer", "admin of c", "empty"];
const OWNERS: &[&str] = &["acme", "globex", "initech"];
/// Verifications of one world.
const VERIFICATIONS: usize = 20;
/// Checks that can refuse one after the other at most.
const MOST_REPAIRS: usize = 9;

type Slugs = BTreeSet<String>;

/// A key or an owner: what it holds by itself, and its roles.
#[derive(Clone, Debug, Default)]
struct Holder {
    slugs: Slugs,
    roles: Slugs,
}

#[derive(Debug)]
struct Key {
    made: MadeKey,
    owner: Option<&'static str>,
    holder: Holder,
}

/// What was made, remembered apart from the server.
struct Model<'w> {
    world: &'w World<'w>,
    apis: Vec<String>,
    roles: BTreeMap<String, Slugs>,
    owners: BTreeMap<&'static str, Holder>,
    keys: Vec<Key>,
}

fn strings(texts: Vec<&str>) -> Slugs {
    texts.into_iter().map(ToOwned::to_owned).collect()
}

impl<'w> Model<'w> {
    fn make(world: &'w World<'w>, random: &mut Random) -> Self {
        let admin = &world.admin;
        let apis = vec![world.api(), world.api()];
        let mut model = Self { world, apis, roles: BTreeMap::new(), owners: BTreeMap::new(), keys: Vec::new() };
        for slug in SLUGS {
            admin.ok("permissions.createPermission", json!({"name": slug, "slug": slug}));
        }
        for role in ROLES {
            let slugs = if *role == "empty" { Slugs::new() } else { strings(random.some(SLUGS, 30)) };
            admin.ok("permissions.createRole", json!({"name": role, "permissions": slugs}));
            model.roles.insert((*role).to_owned(), slugs);
        }
        for owner in OWNERS {
            let holder = Holder { slugs: strings(random.some(SLUGS, 20)), roles: strings(random.some(ROLES, 30)) };
            admin.ok("identities.createIdentity", json!({"externalId": owner}));
            admin.ok("identities.setPermissions", json!({"identity": owner, "permissions": holder.slugs}));
            admin.ok("identities.setRoles", json!({"identity": owner, "roles": holder.roles}));
            if random.percent(20) {
                admin.ok("identities.updateIdentity", json!({"identity": owner, "enabled": false}));
            }
            model.owners.insert(owner, holder);
        }
        for _ in 0..8 {
            model.make_key(random);
        }
        model
    }

    fn make_key(&mut self, random: &mut Random) {
        let holder = Holder { slugs: strings(random.some(SLUGS, 20)), roles: strings(random.some(ROLES, 30)) };
        let owner = random.percent(70).then(|| *random.pick(OWNERS));
        let mut fields = json!({"permissions": holder.slugs, "roles": holder.roles});
        if let Some(owner) = owner {
            fields["externalId"] = json!(owner);
        }
        if random.percent(25) {
            fields["credits"] = json!({"remaining": random.below(3)});
        }
        if random.percent(25) {
            let limit = random.below(2) + 1;
            fields["ratelimits"] =
                json!([{"name": "requests", "limit": limit, "duration": 2_592_000_000_i64, "autoApply": true}]);
        }
        let made = self.world.key(random.pick::<String>(&self.apis), fields);
        let update = |fields: Value| {
            let mut fields = fields;
            fields["keyId"] = json!(made.id);
            self.world.admin.ok("keys.updateKey", fields)
        };
        if random.percent(20) {
            update(json!({"enabled": false}));
        }
        if random.percent(20) {
            update(json!({"expires": self.world.server.clock.now().timestamp_millis() - 1000}));
        }
        self.keys.push(Key { made, owner, holder });
    }

    /// Every route by which a key holds a slug, as the record writes them: found without asking the server.
    fn routes(&self, key: &Key, slug: &str) -> Vec<Value> {
        let by_roles = |holder: &Holder, kind: &str| {
            let roles = holder.roles.iter().filter(|role| self.roles[*role].contains(slug));
            roles.map(|role| json!({"type": kind, "role": role})).collect::<Vec<_>>()
        };
        let owner = key.owner.map(|owner| self.owners[owner].clone()).unwrap_or_default();
        let direct = key.holder.slugs.contains(slug).then(|| json!({"type": "direct"}));
        let of_owner = owner.slugs.contains(slug).then(|| json!({"type": "owner"}));
        let roles = by_roles(&key.holder, "role");
        direct.into_iter().chain(roles).chain(of_owner).chain(by_roles(&owner, "ownerRole")).collect()
    }

    /// What a query names and the key holds, as the record writes it.
    fn held(&self, key: &Key, query: &str) -> Value {
        let slugs: BTreeSet<_> = SLUGS.iter().filter(|slug| words(query).contains(*slug)).collect();
        let held = slugs.into_iter().map(|slug| json!({"permission": slug, "routes": self.routes(key, slug)}));
        held.filter(|held| held["routes"] != json!([])).collect()
    }

    fn verify(&self, key: &Key, asked: &Value) -> (String, String) {
        let mut body = asked.clone();
        body["key"] = json!(key.made.plaintext);
        let answer = self.world.admin.call("keys.verifyKey", body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer.data()["code"]), text(&answer.body["meta"]["requestId"]))
    }

    fn simulate(&self, key: &Key, asked: &Value, supposed: &Value) -> Value {
        let mut body = asked.clone();
        body["keyId"] = json!(key.made.id);
        body["if"] = supposed.clone();
        body.as_object_mut().unwrap().remove("apiId");
        self.world.admin.ok("decisions.simulate", body)
    }

    fn of_key(&self, key: &Key, operation: &str, mut fields: Value) {
        fields["keyId"] = json!(key.made.id);
        self.world.admin.ok(operation, fields);
    }
}

fn words(query: &str) -> Vec<&str> {
    query.split([' ', '(', ')']).collect()
}

fn query(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.percent(35) {
        return (*random.pick(SLUGS)).to_owned();
    }
    let word = if random.percent(50) { " AND " } else { " OR " };
    let parts: Vec<_> = (0..random.below(2) + 2).map(|_| format!("({})", query(random, depth - 1))).collect();
    parts.join(word)
}

fn question(random: &mut Random, model: &Model<'_>) -> Value {
    let mut asked = json!({});
    if random.percent(85) {
        asked["permissions"] = json!(query(random, 3));
    }
    if random.percent(30) {
        asked["credits"] = json!({"cost": random.below(4)});
    }
    if random.percent(15) {
        asked["apiId"] = json!(random.pick(&model.apis));
    }
    asked
}

#[test]
fn what_is_said_of_denied_verifications_is_true() {
    for_each_seed(&[1], |mut random| {
        let world = World::new();
        let model = Model::make(&world, &mut random);
        let mut denied = 0;
        for _ in 0..VERIFICATIONS {
            let key = random.pick(&model.keys);
            let asked = question(&mut random, &model);
            let (code, request) = model.verify(key, &asked);
            if code == "VALID" {
                let told = model.simulate(key, &asked, &json!({}));
                assert_eq!(told["held"], model.held(key, asked["permissions"].as_str().unwrap_or_default()));
                continue;
            }
            denied += 1;
            repaired(&model, key, asked, code, request, &mut random);
        }
        assert!(denied > VERIFICATIONS / 4, "only {denied} denials");
    });
}

/// Follows the records from one denial to the next, doing what each asks for, until the request passes.
fn repaired(
    model: &Model<'_>,
    key: &Key,
    mut asked: Value,
    mut code: String,
    mut request: String,
    random: &mut Random,
) {
    let mut granted = false;
    for _ in 0..MOST_REPAIRS {
        let record = explain(&model.world.admin, &request);
        let before = asked.clone();
        let about: [&dyn std::fmt::Debug; 3] = [&before, key, &record];
        ensure(record["code"] == json!(code), "the record is of another verdict", &about);
        ensure(record["now"]["allowed"] == json!(false), "nothing has changed", &about);
        let held = model.held(key, asked["permissions"].as_str().unwrap_or_default());
        ensure(
            granted || record["held"] == held,
            "not every route is named, or one that there is not",
            &[&held, &about],
        );
        let missing = texts(&record["missing"]);
        ensure(missing.is_empty() == (code != "INSUFFICIENT_PERMISSIONS"), "missing for another reason", &about);
        if code == "INSUFFICIENT_PERMISSIONS" {
            needless(model, key, &asked, &missing, &about);
            granted = true;
        } else if code == "NOT_FOUND" {
            ensure(record["credential"]["looksLike"] == "otherApi", "it was looked for elsewhere", &about);
            asked.as_object_mut().unwrap().remove("apiId");
        }
        let (supposed, operation, fix) = repair(model, key, &asked, &record);
        let simulated = model.simulate(key, &asked, &supposed);
        if !operation.is_empty() {
            model.world.admin.ok(operation, fix);
        }
        // Said before, done after: once it was done no more need be supposed, and the old id says that it was done.
        ensure(model.simulate(key, &asked, &json!({}))["code"] == simulated["code"], "it did not come true", &about);
        if code != "NOT_FOUND" {
            replayed(model, &request, &simulated, &record, operation);
        }
        let (next, next_request) = model.verify(key, &asked);
        ensure(json!(next) == simulated["code"], "the verification was told otherwise", &[&next, &simulated, &about]);
        if next == "VALID" {
            break;
        }
        ensure(next != code, "what was missing was not all", &[&next_request, &about]);
        (code, request) = (next, next_request);
    }
    model.of_key(key, "keys.setPermissions", json!({"permissions": key.holder.slugs}));
    if granted && random.percent(50) {
        routes_are_real(model, key, &asked);
    }
}

/// What a record asks for: supposed, and done by an operation. Without one it is done already.
fn repair(model: &Model<'_>, key: &Key, asked: &Value, record: &Value) -> (Value, &'static str, Value) {
    let id = json!(key.made.id);
    match record["code"].as_str().unwrap() {
        "NOT_FOUND" => (json!({}), "", json!({})),
        "DISABLED" => (json!({"enabled": true}), "keys.updateKey", json!({"keyId": id, "enabled": true})),
        "EXPIRED" => (json!({"expires": null}), "keys.updateKey", json!({"keyId": id, "expires": null})),
        "FORBIDDEN" => {
            let owner = record["principal"]["owner"]["externalId"].clone();
            ensure(owner == json!(key.owner.unwrap()), "it has another owner", &[record]);
            let fix = json!({"identity": owner, "enabled": true});
            (json!({"ownerEnabled": true}), "identities.updateIdentity", fix)
        }
        "INSUFFICIENT_PERMISSIONS" => {
            let missing = &record["missing"];
            (json!({"grant": missing}), "keys.addPermissions", json!({"keyId": id, "permissions": missing}))
        }
        "USAGE_EXCEEDED" => {
            let credits = &record["required"]["credits"];
            let (cost, left) = (credits["cost"].as_i64().unwrap(), credits["remaining"].as_i64().unwrap());
            ensure(left < cost, "there are credits enough", &[record]);
            // One less does not do.
            let simulated = model.simulate(key, asked, &json!({"credits": cost - 1}));
            ensure(simulated["code"] == "USAGE_EXCEEDED", "fewer credits would do", &[&simulated, record]);
            let fix = json!({"keyId": id, "operation": "increment", "value": cost - left});
            (json!({"credits": cost}), "keys.updateCredits", fix)
        }
        "RATE_LIMITED" => {
            let limit = &record["required"]["ratelimits"][0];
            let raised = limit["limit"].as_i64().unwrap() + limit["cost"].as_i64().unwrap();
            let raised = json!({"name": "requests", "limit": raised, "duration": limit["duration"], "autoApply": true});
            model.of_key(key, "keys.updateKey", json!({"ratelimits": [raised]}));
            (json!({}), "", json!({}))
        }
        other => panic!("{other}"),
    }
}

/// What the old id says now is what the simulation says, and it names what was just done.
fn replayed(model: &Model<'_>, request: &str, simulated: &Value, record: &Value, operation: &str) {
    let now = explain(&model.world.admin, request)["now"].clone();
    let about: [&dyn std::fmt::Debug; 3] = [&now, simulated, record];
    for field in ["allowed", "code", "step", "missing"] {
        ensure(now[field] == simulated[field], "now is not what is simulated", &about);
    }
    let by_log = !matches!(now["code"].as_str().unwrap(), "RATE_LIMITED" | "USAGE_EXCEEDED");
    if by_log && !operation.is_empty() {
        ensure(now["because"] != json!([]), "the change is not named", &about);
        let since = now["since"].as_i64().unwrap();
        ensure(now["because"][0]["time"] == json!(since), "not since the change", &about);
        ensure(since >= record["time"].as_i64().unwrap(), "since before the denial", &about);
    }
}

/// Leaving out any of what is missing does not do.
fn needless(model: &Model<'_>, key: &Key, asked: &Value, missing: &[String], about: &[&dyn std::fmt::Debug]) {
    for index in 0..missing.len() {
        let fewer = without(missing, index);
        let simulated = model.simulate(key, asked, &json!({"grant": fewer}));
        ensure(simulated["code"] == "INSUFFICIENT_PERMISSIONS", "needless", &[&missing[index], &about]);
        if !fewer.is_empty() {
            model.of_key(key, "keys.addPermissions", json!({"permissions": fewer}));
            let (code, _) = model.verify(key, asked);
            ensure(code == "INSUFFICIENT_PERMISSIONS", "needless in truth", &[&missing[index], &about]);
            model.of_key(key, "keys.setPermissions", json!({"permissions": key.holder.slugs}));
        }
    }
}

/// Takes away each link that is named: then that route is gone, and all others are there.
fn routes_are_real(model: &Model<'_>, key: &Key, asked: &Value) {
    let admin = &model.world.admin;
    let held = |slug: &Value| {
        let told = model.simulate(key, &json!({"permissions": slug}), &json!({}));
        let routes = told["held"].as_array().unwrap().first().map(|held| held["routes"].clone());
        routes.map(|routes| routes.as_array().unwrap().clone()).unwrap_or_default()
    };
    let owner = key.owner.map(|name| (name, model.owners[name].clone())).unwrap_or_default();
    let minus = |all: &Slugs, one: &str| all.iter().filter(|other| *other != one).cloned().collect::<Vec<_>>();
    for told in model.simulate(key, asked, &json!({}))["held"].as_array().unwrap() {
        let slug = told["permission"].as_str().unwrap();
        let routes = told["routes"].as_array().unwrap();
        for (index, route) in routes.iter().enumerate() {
            let role = route["role"].as_str().unwrap_or_default();
            let (operation, cut, mend) = match route["type"].as_str().unwrap() {
                "direct" => (
                    "keys.setPermissions",
                    json!({"keyId": key.made.id, "permissions": minus(&key.holder.slugs, slug)}),
                    json!({"keyId": key.made.id, "permissions": key.holder.slugs}),
                ),
                "role" => (
                    "keys.setRoles",
                    json!({"keyId": key.made.id, "roles": minus(&key.holder.roles, role)}),
                    json!({"keyId": key.made.id, "roles": key.holder.roles}),
                ),
                "owner" => (
                    "identities.setPermissions",
                    json!({"identity": owner.0, "permissions": minus(&owner.1.slugs, slug)}),
                    json!({"identity": owner.0, "permissions": owner.1.slugs}),
                ),
                _ => (
                    "identities.setRoles",
                    json!({"identity": owner.0, "roles": minus(&owner.1.roles, role)}),
                    json!({"identity": owner.0, "roles": owner.1.roles}),
                ),
            };
            admin.ok(operation, cut);
            ensure(held(&told["permission"]) == without(routes, index), "a link that is none", &[&route, &told, key]);
            admin.ok(operation, mend);
            ensure(held(&told["permission"]) == *routes, "it does not come back", &[&route, &told, key]);
        }
    }
}
