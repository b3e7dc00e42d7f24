//! The permission matrix: walks the table of operations. A row without a fixture fails.

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use keyward::authz::action::Action;
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
}

impl Scene<'static> {
    fn new() -> Self {
        let world = World::new();
        let api = world.api_with(json!({"recoverable": true}));
        let other_api = world.api();
        let key = world.key(&api, json!({"recoverable": true}));
        Self { world, api, other_api, key }
    }
}

/// How an operation treats what the caller may not reach (decisions.md "Who may know what").
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    /// Only `*` will do.
    Everywhere,
    /// Rule 2: the request names the API; 403 if it is not covered.
    Names,
    /// Rule 3: the request names something inside an API; 404 if that may not even be read.
    Inside(&'static str),
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
        "keys.verifyKey" => of(Rule::Verifies, json!({"key": key.plaintext})),
        "keys.getKey" => of(not_found, json!({"keyId": key.id, "decrypt": true})),
        "keys.whoami" => of(not_found, json!({"key": key.plaintext})),
        "keys.updateKey" => of(not_found, json!({"keyId": key.id, "name": "renamed"})),
        "keys.rerollKey" => of(not_found, json!({"keyId": key.id, "expiration": 0})),
        "keys.deleteKey" => of(not_found, json!({"keyId": key.id})),
        "keys.migrateKeys" => {
            let name = json!({"name": "matrix", "algorithm": "sha256"});
            let migration = scene.world.admin.ok("migrations.createMigration", name);
            let keys =
                json!([{"hash": "0".repeat(64), "externalId": "imported", "permissions": ["a"], "roles": ["r"]}]);
            of(Rule::Names, json!({"migrationId": migration["migrationId"], "apiId": api, "keys": keys}))
        }
        other => match other.split('.').next().unwrap() {
            "permissions" => permissions(operation, scene),
            "identities" => identities(operation, scene),
            "rootKeys" | "workspace" => root_keys(operation, scene),
            "migrations" => migrations(operation, scene),
            _ => missing(other),
        },
    }
}

fn missing(operation: &str) -> ! {
    panic!("{operation} has no fixture: add one, so that its permissions are tested")
}

// ---- permissions.*

fn permissions(operation: &Operation, _scene: &Scene<'_>) -> Fixture {
    missing(operation.name)
}

// ---- identities.*

fn identities(operation: &Operation, _scene: &Scene<'_>) -> Fixture {
    missing(operation.name)
}

// ---- rootKeys.*, workspace.*

fn root_keys(operation: &Operation, _scene: &Scene<'_>) -> Fixture {
    missing(operation.name)
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

// ---- the matrix

fn needed(operation: &Operation, fixture: &Fixture) -> Vec<Action> {
    operation.needs.iter().chain(fixture.also).copied().collect()
}

fn tuples(actions: &[Action], id: &str) -> Vec<String> {
    actions.iter().map(|action| action.on(id)).collect()
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
    let scene = Scene::new();
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
            let answer = refused(&scene, &scene.world.root_key(&everything_else), operation, &fixture.body);
            answer.refused(403, "unkey/authorization/insufficient_permissions");
            let missing = answer.body["error"]["missing"].as_array().unwrap();
            assert_eq!(missing.len(), 1, "{}: {missing:?}", operation.name);
            let suffix = lacking.on("*").replacen(".*.", ".", 1);
            let named = missing[0].as_str().unwrap();
            assert!(named.ends_with(suffix.split('.').next_back().unwrap()), "{}: {named}", operation.name);
            assert!(answer.detail().contains(named), "{}: {}", operation.name, answer.detail());
        }
        let answer = refused(&scene, &scene.world.root_key::<&str>(&[]), operation, &fixture.body);
        let required = answer.body["error"]["required"].as_array().unwrap();
        assert!(
            required.contains(&json!(tuples(operation_needs(&fixture, operation, &answer), "*"))),
            "{}",
            answer.text
        );
    }
}

/// What a refusal for lack of everything lists: before the lookup only what is certain to be needed.
fn operation_needs<'a>(fixture: &'a Fixture, operation: &'a Operation, answer: &Answer) -> &'a [Action] {
    let listed = answer.body["error"]["required"][0].as_array().unwrap().len();
    if listed == operation.needs.len() { operation.needs } else { needs_and_also(operation, fixture) }
}

fn needs_and_also<'a>(operation: &'a Operation, fixture: &'a Fixture) -> &'a [Action] {
    Box::leak(needed(operation, fixture).into_boxed_slice())
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
        let client = scene.world.root_key(&tuples(&needed(operation, &fixture), &scene.api));
        if fixture.rule == Rule::Everywhere {
            refused(&scene, &client, operation, &fixture.body)
                .refused(403, "unkey/authorization/insufficient_permissions");
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
        let elsewhere = scene.world.root_key(&tuples(&needed(operation, &fixture), &scene.other_api));
        match fixture.rule {
            Rule::Everywhere | Rule::Names => {
                let answer = refused(&scene, &elsewhere, operation, &fixture.body);
                answer.refused(403, "unkey/authorization/insufficient_permissions");
                assert_named_like_a_missing_one(&elsewhere, operation, &fixture, &answer);
            }
            Rule::Inside(code) => {
                let answer = refused(&scene, &elsewhere, operation, &fixture.body);
                answer.refused(404, code);
                assert!(!answer.text.contains(&scene.api), "{}", answer.text);
                // Who may read it learns that it exists, and what is lacking.
                let mut grants = tuples(&needed(operation, &fixture), &scene.other_api);
                grants.push(Action::ReadKey.on(&scene.api));
                let reader = scene.world.root_key(&grants);
                if !operation.needs.contains(&Action::ReadKey) {
                    let answer = refused(&scene, &reader, operation, &fixture.body);
                    answer.refused(403, "unkey/authorization/insufficient_permissions");
                    assert!(!answer.text.contains(&scene.api), "an id that was not sent: {}", answer.text);
                }
            }
            Rule::Verifies => {
                let data = elsewhere.ok(operation.name, fixture.body);
                assert_eq!(data, json!({"valid": false, "code": "NOT_FOUND"}));
            }
        }
    }
}

/// Rule 2: the refusal is the same whether or not the named API exists.
fn assert_named_like_a_missing_one(client: &Client, operation: &Operation, fixture: &Fixture, answer: &Answer) {
    let Some(api) = fixture.body["apiId"].as_str() else { return };
    let mut body = fixture.body.clone();
    body["apiId"] = json!("api_that_never_was");
    let missing = client.call(operation.name, body);
    let expected = answer.without_request_id().to_string().replace(api, "api_that_never_was");
    assert_eq!(missing.without_request_id().to_string(), expected);
}
