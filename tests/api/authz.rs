//! The permission matrix: walks the table of operations. A row without a fixture fails.

mod audited;

use crate::decisions;
use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::server::Options;
use crate::ratelimit;
use keyward::authz::action::Action;
use keyward::authz::action::Resource;
use keyward::http::operations::OPERATIONS;
use keyward::http::operations::Operation;
use serde_json::Value;
use serde_json::json;

/// What the rows need to exist.
pub struct Scene<'w> {
    world: World<'w>,
    api: String,
    other_api: String,
    key: MadeKey,
    identity: String,
    other_identity: String,
    /// A role and a permission of these names exist.
    role: &'static str,
    permission: &'static str,
    root_key: String,
    other_root_key: String,
    /// A namespace with an override for `customer`.
    namespace: String,
    other_namespace: String,
    /// A request that was denied to another root key.
    denied: String,
}

impl Scene<'static> {
    fn new() -> Self {
        Self::on(Server::shared())
    }
}

impl<'s> Scene<'s> {
    fn on(server: &'s Server) -> Self {
        let world = World::on(server);
        let api = world.api_with(json!({"recoverable": true}));
        let other_api = world.api();
        let key = world.key(&api, json!({"recoverable": true}));
        let identity = |name: &str| {
            let data = world.admin.ok("identities.createIdentity", json!({"externalId": name}));
            data["identityId"].as_str().unwrap().to_owned()
        };
        let (identity, other_identity) = (identity("customer.1"), identity("customer.2"));
        let (role, permission) = ("editor", "docs.read");
        world.admin.ok("permissions.createRole", json!({"name": role, "permissions": [permission]}));
        let [root_key, other_root_key] = [(); 2].map(|()| world.root_key_until::<&str>(&[], None).0.to_string());
        let [namespace, other_namespace] = ["emails", "uploads"].map(|name| ratelimit::namespace(&world, name));
        ratelimit::set_override(&world, "emails", "customer", 5);
        let denied = decisions::request_id(&world.root_key::<&str>(&[]).call("apis.listApis", json!({})));
        Self {
            world,
            api,
            other_api,
            key,
            identity,
            other_identity,
            role,
            permission,
            root_key,
            other_root_key,
            namespace,
            other_namespace,
            denied,
        }
    }
}

impl Scene<'_> {
    /// API, identity, root key and namespace that the bodies name.
    fn ids(&self) -> [&str; 4] {
        [&self.api, &self.identity, &self.root_key, &self.namespace]
    }

    /// Others of the same kinds.
    fn other_ids(&self) -> [&str; 4] {
        [&self.other_api, &self.other_identity, &self.other_root_key, &self.other_namespace]
    }
}

/// How an operation treats what the caller may not reach (decisions.md "Who may know what").
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    /// Only `*` will do.
    Everywhere,
    /// Rule 2: the request names the API; 403 if it is not covered.
    Names,
    /// Rule 2 of identities.
    NamesIdentity,
    /// Rule 2 of namespaces.
    NamesNamespace,
    /// Rule 3: the request names something inside an API; 404 if that may not even be read.
    Inside(&'static str),
    /// Rule 3 for a root key, which is itself the resource.
    RootKey,
    /// It is about the caller itself and needs nothing.
    Own,
    /// A record that only `*` reads, or whoever was denied: for all others it does not exist.
    Record,
    /// Rule 4: `200 NOT_FOUND`.
    Verifies,
}

struct Fixture {
    rule: Rule,
    body: Value,
    /// Of the row's `also`, those that this body asks for.
    also: &'static [Action],
}

fn fixture(operation: &Operation, scene: &Scene<'_>) -> Fixture {
    let (api, key) = (&scene.api, &scene.key);
    let of = |rule, body| Fixture { rule, body, also: operation.also };
    let not_found = Rule::Inside("unkey/data/key_not_found");
    match operation.name {
        "apis.createApi" => of(Rule::Everywhere, json!({"name": "another"})),
        "apis.listApis" => of(Rule::Everywhere, json!({})),
        "apis.getApi" => of(Rule::Names, json!({"apiId": api})),
        "apis.updateApi" => of(Rule::Names, json!({"apiId": api, "name": "renamed"})),
        "apis.deleteApi" => of(Rule::Names, json!({"apiId": api})),
        "apis.listKeys" => of(Rule::Names, json!({"apiId": api, "decrypt": true})),
        "keys.createKey" => of(Rule::Names, json!({"apiId": api, "recoverable": true})),
        "keys.verifyKey" => of(Rule::Verifies, json!({"key": key.plaintext, "explain": true})),
        "keys.getKey" => of(not_found, json!({"keyId": key.id, "decrypt": true})),
        "keys.whoami" => of(not_found, json!({"key": key.plaintext})),
        "keys.updateKey" => of(not_found, json!({"keyId": key.id, "name": "renamed"})),
        "keys.updateCredits" => of(not_found, json!({"keyId": key.id, "operation": "set", "value": 1})),
        "keys.rerollKey" => of(not_found, json!({"keyId": key.id, "expiration": 0})),
        "keys.deleteKey" => of(not_found, json!({"keyId": key.id})),
        "keys.addPermissions" | "keys.setPermissions" => {
            of(not_found, json!({"keyId": key.id, "permissions": [scene.permission, "not.yet.made"]}))
        }
        "keys.removePermissions" => of(not_found, json!({"keyId": key.id, "permissions": [scene.permission]})),
        "keys.addRoles" | "keys.setRoles" | "keys.removeRoles" => {
            of(not_found, json!({"keyId": key.id, "roles": [scene.role]}))
        }
        "keys.migrateKeys" => {
            let name = json!({"name": "matrix", "algorithm": "sha256"});
            let migration = scene.world.admin.ok("migrations.createMigration", name);
            let keys =
                json!([{"hash": "0".repeat(64), "externalId": "imported", "permissions": ["a"], "roles": ["r"]}]);
            of(Rule::Names, json!({"migrationId": migration["migrationId"], "apiId": api, "keys": keys}))
        }
        "analytics.getUsage" => of(Rule::Names, json!({"apiId": api, "from": 0, "to": 1})),
        other => match other.split('.').next().unwrap() {
            "permissions" => permissions(operation, scene),
            "identities" => identities(operation, scene),
            "rootKeys" | "workspace" => root_keys(operation, scene),
            "migrations" => migrations(operation, scene),
            "auditLogs" => Fixture { rule: Rule::Everywhere, body: json!({}), also: &[] },
            "ratelimit" => ratelimits(operation, scene),
            "decisions" => records(operation, scene),
            _ => missing(other),
        },
    }
}

fn missing(operation: &str) -> ! {
    panic!("{operation} has no fixture: add one, so that its permissions are tested")
}

// ---- permissions.*

fn permissions(operation: &Operation, scene: &Scene<'_>) -> Fixture {
    let (role, permission) = (scene.role, scene.permission);
    let body = match operation.name {
        "permissions.createPermission" => json!({"name": "Write", "slug": "docs.write"}),
        "permissions.getPermission" | "permissions.deletePermission" => json!({"permission": permission}),
        "permissions.updatePermission" => json!({"permission": permission, "slug": "docs.show"}),
        "permissions.createRole" => json!({"name": "author", "permissions": [permission, "not.yet.made"]}),
        "permissions.getRole" | "permissions.deleteRole" => json!({"role": role}),
        "permissions.updateRole" => json!({"role": role, "name": "author"}),
        "permissions.setRolePermissions" => json!({"role": role, "permissions": ["not.yet.made"]}),
        "permissions.listPermissions" | "permissions.listRoles" => json!({}),
        other => missing(other),
    };
    Fixture { rule: Rule::Everywhere, body, also: operation.also }
}

// ---- identities.*

fn identities(operation: &Operation, scene: &Scene<'_>) -> Fixture {
    let identity = &scene.identity;
    let of = |rule, body| Fixture { rule, body, also: operation.also };
    match operation.name {
        "identities.createIdentity" => of(Rule::Everywhere, json!({"externalId": "another"})),
        "identities.listIdentities" => of(Rule::Everywhere, json!({})),
        "identities.getIdentity" => of(Rule::NamesIdentity, json!({"identity": identity})),
        "identities.updateIdentity" => of(Rule::NamesIdentity, json!({"identity": identity, "enabled": false})),
        "identities.deleteIdentity" => of(Rule::NamesIdentity, json!({"identity": identity})),
        "identities.setPermissions" => of(Rule::NamesIdentity, json!({"identity": identity, "permissions": ["new"]})),
        "identities.setRoles" => of(Rule::NamesIdentity, json!({"identity": identity, "roles": []})),
        other => missing(other),
    }
}

// ---- rootKeys.*, workspace.*

fn root_keys(operation: &Operation, scene: &Scene<'_>) -> Fixture {
    let id = &scene.root_key;
    let (rule, body) = match operation.name {
        "rootKeys.createKey" => (Rule::Everywhere, json!({"permissions": []})),
        "rootKeys.listKeys" => (Rule::Everywhere, json!({})),
        "rootKeys.getKey" => (Rule::RootKey, json!({"keyId": id})),
        "rootKeys.updateKey" => (Rule::RootKey, json!({"keyId": id, "name": "renamed"})),
        "rootKeys.rerollKey" => (Rule::RootKey, json!({"keyId": id, "expiration": 0})),
        "rootKeys.deleteKey" => (Rule::RootKey, json!({"keyId": id})),
        "rootKeys.whoami" | "workspace.getLimits" => (Rule::Own, json!({})),
        other => missing(other),
    };
    Fixture { rule, body, also: operation.also }
}

/// A root key that the caller does not reach does not exist; who may read it learns what is lacking.
fn root_key_elsewhere(scene: &Scene<'_>, operation: &Operation, fixture: &Fixture) {
    let mut grants = tuples(&needed(operation, fixture), &scene.other_root_key);
    let elsewhere = scene.world.root_key(&grants);
    let answer = refused(scene, &elsewhere, operation, &fixture.body);
    answer.refused(404, "unkey/data/key_not_found");
    let mut body = fixture.body.clone();
    body["keyId"] = json!("root_that_never_was");
    assert_eq!(answer.without_request_id(), elsewhere.call(operation.name, body).without_request_id());
    if !operation.needs.contains(&Action::ReadRootKey) {
        grants.push(Action::ReadRootKey.on(&scene.root_key));
        let answer = refused(scene, &scene.world.root_key(&grants), operation, &fixture.body);
        answer.refused(403, "unkey/authorization/insufficient_permissions");
        assert_eq!(answer.body["error"]["missing"], json!(tuples(operation.needs, &scene.root_key)));
    }
}

// ---- migrations.*

fn migrations(operation: &Operation, _scene: &Scene<'_>) -> Fixture {
    match operation.name {
        "migrations.createMigration" => {
            let body = json!({"name": "another", "algorithm": "sha256"});
            Fixture { rule: Rule::Everywhere, body, also: operation.also }
        }
        other => missing(other),
    }
}

// ---- ratelimit.*

/// The bodies name a namespace that exists, so that none has to be made; `ratelimit::limit` tests those that do not.
fn ratelimits(operation: &Operation, scene: &Scene<'_>) -> Fixture {
    let namespace = &scene.namespace;
    let limit = json!({"namespace": namespace, "identifier": "customer", "limit": 100, "duration": 60_000});
    let body = match operation.name {
        "ratelimit.limit" => limit,
        "ratelimit.multiLimit" => json!([limit, limit]),
        "ratelimit.setOverride" => json!({"namespace": namespace, "identifier": "*", "limit": 0, "duration": 1000}),
        "ratelimit.getOverride" | "ratelimit.deleteOverride" => {
            json!({"namespace": namespace, "identifier": "customer"})
        }
        "ratelimit.listOverrides" | "ratelimit.getNamespace" | "ratelimit.deleteNamespace" => {
            json!({"namespace": namespace})
        }
        "ratelimit.listNamespaces" => return Fixture { rule: Rule::Everywhere, body: json!({}), also: &[] },
        other => missing(other),
    };
    Fixture { rule: Rule::NamesNamespace, body, also: &[] }
}

// ---- decisions.*

fn records(operation: &Operation, scene: &Scene<'_>) -> Fixture {
    let (rule, body) = match operation.name {
        "decisions.explain" => (Rule::Record, json!({"requestId": scene.denied})),
        "decisions.listDecisions" => (Rule::Everywhere, json!({})),
        "decisions.simulate" => (Rule::Everywhere, json!({"keyId": scene.key.id})),
        other => missing(other),
    };
    Fixture { rule, body, also: operation.also }
}

/// Without the right to read it a record is the same 404 as one that never was.
fn record_hidden(scene: &Scene<'_>, client: &Client, operation: &Operation, fixture: &Fixture) {
    let answer = refused(scene, client, operation, &fixture.body);
    answer.refused(404, "unkey/data/decision_not_found");
    let unknown = client.call(operation.name, json!({"requestId": "req_11111111111111neverwas"}));
    assert_eq!(answer.without_request_id(), unknown.without_request_id());
}

// ---- the matrix

fn needed(operation: &Operation, fixture: &Fixture) -> Vec<Action> {
    operation.needs.iter().chain(fixture.also).copied().collect()
}

fn tuples(actions: &[Action], id: &str) -> Vec<String> {
    actions.iter().map(|action| action.on(id)).collect()
}

/// What an operation needs, each for the one resource of its kind where that is possible: of roles and permissions there
/// is no single one.
fn concrete(operation: &Operation, fixture: &Fixture, [api, identity, root_key, namespace]: [&str; 4]) -> Vec<String> {
    let id = |action: &Action| match action.resource() {
        Resource::Identity => identity,
        Resource::RootKey => root_key,
        Resource::Ratelimit => namespace,
        Resource::Rbac if fixture.rule != Rule::Everywhere => "*",
        Resource::Decision if fixture.rule == Rule::Verifies => "*",
        Resource::Api | Resource::Rbac | Resource::Portal | Resource::Decision | Resource::AuditLog => api,
    };
    needed(operation, fixture).iter().map(|action| action.on(id(action))).collect()
}

/// Calls, and shows that a refusal changed nothing.
fn refused(scene: &Scene<'_>, client: &Client, operation: &Operation, body: &Value) -> Answer {
    let before = scene.world.everything();
    let answer = client.call(operation.name, body.clone());
    assert_ne!(answer.status, 200, "{}: {}", operation.name, answer.text);
    assert_eq!(before, scene.world.everything(), "{} was refused and changed something", operation.name);
    answer
}

#[test]
fn without_a_root_key_nobody_learns_or_changes_anything() {
    let server = Options::default().flags("--auth-failures-per-minute 0").start();
    let scene = Scene::on(&server);
    for operation in OPERATIONS {
        let anonymous = scene.world.anonymous();
        let answer = refused(&scene, &anonymous, operation, &json!({"nonsense": true}));
        answer.refused(401, "unkey/authentication/missing");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"keyward\"");

        let answer = refused(&scene, &anonymous.bearer("keyward_root_unknown"), operation, &json!({"nonsense": true}));
        answer.refused(401, "unkey/authentication/key_not_found");
        assert!(answer.headers["www-authenticate"].contains("invalid_token"));

        let ordinary = scene.world.anonymous().bearer(&scene.key.plaintext);
        refused(&scene, &ordinary, operation, &json!({})).refused(401, "unkey/authentication/key_not_found");
    }
}

#[test]
fn each_missing_permission_is_refused_and_named() {
    let scene = Scene::new();
    for operation in OPERATIONS {
        let fixture = fixture(operation, &scene);
        let needed = needed(operation, &fixture);
        for lacking in &needed {
            let everything_else: Vec<_> =
                Action::ALL.iter().filter(|action| *action != lacking).map(|action| action.on("*")).collect();
            if fixture.rule == Rule::Record {
                record_hidden(&scene, &scene.world.root_key(&everything_else), operation, &fixture);
                continue;
            }
            let answer = refused(&scene, &scene.world.root_key(&everything_else), operation, &fixture.body);
            answer.refused(403, "unkey/authorization/insufficient_permissions");
            let missing = answer.body["error"]["missing"].as_array().unwrap();
            assert_eq!(missing.len(), 1, "{}: {missing:?}", operation.name);
            let suffix = lacking.on("*").replacen(".*.", ".", 1);
            let named = missing[0].as_str().unwrap();
            assert!(named.ends_with(suffix.split('.').next_back().unwrap()), "{}: {named}", operation.name);
            assert!(answer.detail().contains(named), "{}: {}", operation.name, answer.detail());
        }
        if matches!(fixture.rule, Rule::Own | Rule::Record) {
            assert!(operation.needs.is_empty());
            continue;
        }
        let answer = refused(&scene, &scene.world.root_key::<&str>(&[]), operation, &fixture.body);
        let required = answer.body["error"]["required"].as_array().unwrap();
        assert!(
            required.contains(&json!(tuples(&operation_needs(&fixture, operation, &answer), "*"))),
            "{}",
            answer.text
        );
    }
}

/// What a refusal for lack of everything lists: what is certain to be needed before anything is looked up.
fn operation_needs(fixture: &Fixture, operation: &Operation, answer: &Answer) -> Vec<Action> {
    let listed = answer.body["error"]["required"][0].as_array().unwrap().len();
    assert!(listed >= operation.needs.len(), "{}: {}", operation.name, answer.text);
    needed(operation, fixture).into_iter().take(listed).collect()
}

#[test]
fn exactly_the_minimal_set_suffices_everywhere() {
    for operation in OPERATIONS {
        let scene = Scene::new();
        let fixture = fixture(operation, &scene);
        scene.world.root_key(&tuples(&needed(operation, &fixture), "*")).ok(operation.name, fixture.body);
    }
}

#[test]
fn exactly_the_minimal_set_suffices_for_the_one_resource() {
    for operation in OPERATIONS {
        let scene = Scene::new();
        let fixture = fixture(operation, &scene);
        let client = scene.world.root_key(&concrete(operation, &fixture, scene.ids()));
        if fixture.rule == Rule::Everywhere {
            refused(&scene, &client, operation, &fixture.body)
                .refused(403, "unkey/authorization/insufficient_permissions");
        } else if fixture.rule == Rule::Record {
            record_hidden(&scene, &client, operation, &fixture);
        } else {
            client.ok(operation.name, fixture.body);
        }
    }
}

#[test]
fn the_right_permissions_for_another_resource_do_not_suffice() {
    let scene = Scene::new();
    for operation in OPERATIONS {
        let fixture = fixture(operation, &scene);
        let elsewhere = concrete(operation, &fixture, scene.other_ids());
        let elsewhere = scene.world.root_key(&elsewhere);
        match fixture.rule {
            Rule::Everywhere | Rule::Names | Rule::NamesIdentity | Rule::NamesNamespace => {
                let answer = refused(&scene, &elsewhere, operation, &fixture.body);
                answer.refused(403, "unkey/authorization/insufficient_permissions");
                assert_named_like_a_missing_one(&elsewhere, operation, &fixture, &answer);
            }
            Rule::Inside(code) => {
                let answer = refused(&scene, &elsewhere, operation, &fixture.body);
                answer.refused(404, code);
                assert!(!answer.text.contains(&scene.api), "{}", answer.text);
                // Who may read it learns that it exists, and what is lacking.
                let mut grants = concrete(operation, &fixture, scene.other_ids());
                grants.push(Action::ReadKey.on(&scene.api));
                let reader = scene.world.root_key(&grants);
                if !operation.needs.contains(&Action::ReadKey) {
                    let answer = refused(&scene, &reader, operation, &fixture.body);
                    answer.refused(403, "unkey/authorization/insufficient_permissions");
                    assert!(!answer.text.contains(&scene.api), "an id that was not sent: {}", answer.text);
                }
            }
            Rule::Record => record_hidden(&scene, &elsewhere, operation, &fixture),
            Rule::RootKey => root_key_elsewhere(&scene, operation, &fixture),
            Rule::Own => {
                elsewhere.ok(operation.name, fixture.body);
            }
            Rule::Verifies => {
                let mut body = fixture.body;
                body["explain"] = json!(false);
                assert_eq!(elsewhere.ok(operation.name, body), json!({"valid": false, "code": "NOT_FOUND"}));
            }
        }
    }
}

/// Rule 2: the refusal is the same whether or not what is named exists.
fn assert_named_like_a_missing_one(client: &Client, operation: &Operation, fixture: &Fixture, answer: &Answer) {
    let (field, never) = match fixture.rule {
        Rule::NamesIdentity => ("identity", "id_11111111111111neverwas"),
        Rule::NamesNamespace => ("namespace", "rlns_11111111111111neverwas"),
        Rule::Everywhere
        | Rule::Names
        | Rule::Inside(_)
        | Rule::RootKey
        | Rule::Own
        | Rule::Record
        | Rule::Verifies => ("apiId", "api_that_never_was"),
    };
    let items = fixture.body.as_array().cloned().unwrap_or_else(|| vec![fixture.body.clone()]);
    let Some(named) = items[0][field].as_str() else { return };
    let body: Value = fixture.body.to_string().replace(named, never).parse().unwrap();
    let missing = client.call(operation.name, body);
    let expected = answer.without_request_id().to_string().replace(named, never);
    assert_eq!(missing.without_request_id().to_string(), expected);
}
