//! Every change that decides on a verification takes effect on the node that made it at once, and soon on the others.

mod others;

use crate::freshness::at;
use crate::freshness::report;
use crate::freshness::said;
use crate::freshness::trusting;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::fixtures::operate;
use crate::harness::keyward;
use crate::harness::postgres;
use keyward::domain::workspaces;
use keyward::model::id::RootKeyId;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;
use std::time::Instant;

/// What another node may take on a busy machine; while the channel is sound it is milliseconds.
const BOUND: Duration = Duration::from_secs(1);
/// Permission of the key itself, through its role, of its owner, and through its owner's role.
const OWN: &str = "docs.read";
const BY_ROLE: &str = "docs.write";
const OF_OWNER: &str = "docs.list";
const BY_OWNERS_ROLE: &str = "docs.share";

/// A key that has a bit of everything, and a root key that may verify it.
struct Scene<'s> {
    world: World<'s>,
    api: String,
    key: MadeKey,
    verifier: (RootKeyId, Client),
}

impl<'s> Scene<'s> {
    fn on(server: &'s Server) -> Self {
        let world = World::on(server);
        let (api, admin) = (world.api(), &world.admin);
        for (name, slug) in [("writer", BY_ROLE), ("sharer", BY_OWNERS_ROLE)] {
            admin.ok("permissions.createRole", json!({"name": name, "permissions": [slug]}));
        }
        for owner in ["owner", "stranger"] {
            admin.ok("identities.createIdentity", json!({"externalId": owner, "ratelimits": [limit("shared", 500)]}));
        }
        admin.ok("identities.setPermissions", json!({"identity": "owner", "permissions": [OF_OWNER]}));
        admin.ok("identities.setRoles", json!({"identity": "owner", "roles": ["sharer"]}));
        let fields = json!({"externalId": "owner", "permissions": [OWN], "roles": ["writer"],
            "ratelimits": [limit("own", 500)], "meta": {"plan": "free"}});
        let key = world.key(&api, fields);
        let verifier =
            world.root_key_until(&["api.*.verify_key", "ratelimit.*.limit", "ratelimit.*.create_namespace"], None);
        Self { world, api, key, verifier }
    }

    fn admin(&self, operation: &str, mut body: Value, own: &[(&str, &str)]) {
        own.iter().for_each(|(name, value)| body[*name] = json!(value));
        self.world.admin.ok(operation, body);
    }

    /// Calls an operation on the key.
    fn key(&self, operation: &str, body: Value) {
        self.admin(operation, body, &[("keyId", &self.key.id)]);
    }

    /// Calls an operation on the root key that verifies.
    fn root(&self, operation: &str, body: Value) {
        self.admin(operation, body, &[("keyId", self.verifier.0.as_str())]);
    }

    fn api(&self, operation: &str, body: Value) {
        self.admin(operation, body, &[("apiId", &self.api)]);
    }
}

fn limit(name: &str, limit: u32) -> Value {
    json!({"name": name, "limit": limit, "duration": 60_000, "autoApply": true})
}

/// What is asked of a node.
#[derive(Clone, Copy)]
enum Asks {
    /// The verdict.
    Plain,
    /// The verdict with a permission query.
    Permission(&'static str),
    /// The limit of this name that a verification shows.
    Limit(&'static str),
    /// A member of the data of a verification, as text.
    Member(&'static str),
    /// The limit that applies to an identifier.
    Override,
}

impl Asks {
    fn ask(self, client: &Client, key: &str) -> String {
        let verify = |body: Value| client.call("keys.verifyKey", body);
        match self {
            Self::Plain => said(&verify(json!({"key": key}))),
            Self::Permission(query) => said(&verify(json!({"key": key, "permissions": query}))),
            Self::Limit(name) => {
                let answer = verify(json!({"key": key}));
                let limits = answer.data()["ratelimits"].as_array();
                let found = limits.into_iter().flatten().find(|limit| limit["name"] == name);
                found.map_or("none".to_owned(), |limit| limit["limit"].to_string())
            }
            Self::Member(name) => verify(json!({"key": key})).data()[name].to_string(),
            Self::Override => {
                let body = json!({"namespace": "mail", "identifier": "one", "limit": 100, "duration": 60_000});
                client.call("ratelimit.limit", body).data()["limit"].to_string()
            }
        }
    }
}

type Act = fn(&Scene<'_>);

/// A change, what is said before and after, and how it is undone.
struct Edge {
    name: &'static str,
    asks: Asks,
    before: &'static str,
    change: Act,
    after: &'static str,
    undo: Option<Act>,
}

const fn edge(
    name: &'static str,
    asks: Asks,
    before: &'static str,
    change: Act,
    after: &'static str,
    undo: Option<Act>,
) -> Edge {
    Edge { name, asks, before, change, after, undo }
}

/// Makes an edge on its way there and back on two nodes, one of which it is made on; returns how long the other one took.
fn follow(edge: &Edge, here: &Server, there: &Server) -> Vec<Duration> {
    let scene = Scene::on(here);
    let near = scene.verifier.1.clone();
    let far = at(there, &near);
    let key = scene.key.plaintext.as_str();
    // Three times, so that what is said from memory is compared as well.
    for client in [&near, &far, &near, &far, &near, &far] {
        assert_eq!(edge.asks.ask(client, key), edge.before, "{}: before", edge.name);
    }
    let steps = [(Some(edge.change), edge.after), (edge.undo, edge.before)];
    let taken = steps.into_iter().filter_map(|(act, expected)| Some((act?, expected)));
    taken
        .map(|(act, expected)| {
            act(&scene);
            let done = Instant::now();
            let at_once = edge.asks.ask(&near, key);
            assert_eq!(at_once, expected, "{}: at once on the node that made the change", edge.name);
            loop {
                let begun = Instant::now();
                if edge.asks.ask(&far, key) == expected {
                    break begun - done;
                }
                assert!(begun - done < BOUND, "{}: not {expected} on the other node within {BOUND:?}", edge.name);
            }
        })
        .collect()
}

/// Follows all edges, each from another node than the one before.
fn follow_all(what: &str, edges: &[Edge]) {
    let database = postgres::fresh_database();
    let nodes = [trusting(&database, ""), trusting(&database, "")];
    let lags = edges.iter().enumerate().flat_map(|(number, edge)| {
        let (here, there) = (&nodes[number % 2], &nodes[(number + 1) % 2]);
        follow(edge, here, there)
    });
    report(what, lags.collect());
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_changed_key_is_changed_on_every_node() {
    use Asks::*;
    follow_all(
        "keys",
        &[
            edge(
                "disabled",
                Plain,
                "VALID",
                |scene| scene.key("keys.updateKey", json!({"enabled": false})),
                "DISABLED",
                Some(|scene| scene.key("keys.updateKey", json!({"enabled": true}))),
            ),
            edge(
                "expired",
                Plain,
                "VALID",
                |scene| scene.key("keys.updateKey", json!({"expires": 1})),
                "EXPIRED",
                Some(|scene| scene.key("keys.updateKey", json!({"expires": null}))),
            ),
            edge("deleted", Plain, "VALID", |scene| scene.key("keys.deleteKey", json!({})), "NOT_FOUND", None),
            edge(
                "erased",
                Plain,
                "VALID",
                |scene| scene.key("keys.deleteKey", json!({"permanent": true})),
                "NOT_FOUND",
                None,
            ),
            edge(
                "rerolled",
                Plain,
                "VALID",
                |scene| scene.key("keys.rerollKey", json!({"expiration": 0})),
                "EXPIRED",
                None,
            ),
            edge(
                "limited by credits",
                Plain,
                "VALID",
                |scene| scene.key("keys.updateCredits", json!({"operation": "set", "value": 0})),
                "USAGE_EXCEEDED",
                Some(|scene| scene.key("keys.updateCredits", json!({"operation": "set", "value": null}))),
            ),
            edge(
                "limited by credits of an update",
                Plain,
                "VALID",
                |scene| scene.key("keys.updateKey", json!({"credits": {"remaining": 0}})),
                "USAGE_EXCEEDED",
                Some(|scene| scene.key("keys.updateKey", json!({"credits": null}))),
            ),
            edge(
                "its limit changed",
                Limit("own"),
                "500",
                |scene| scene.key("keys.updateKey", json!({"ratelimits": [limit("own", 7)]})),
                "7",
                Some(|scene| scene.key("keys.updateKey", json!({"ratelimits": [limit("own", 500)]}))),
            ),
            edge(
                "its limit removed",
                Limit("own"),
                "500",
                |scene| scene.key("keys.updateKey", json!({"ratelimits": []})),
                "none",
                Some(|scene| scene.key("keys.updateKey", json!({"ratelimits": [limit("own", 500)]}))),
            ),
            edge(
                "its metadata",
                Member("meta"),
                "{\"plan\":\"free\"}",
                |scene| scene.key("keys.updateKey", json!({"meta": {"plan": "paid"}})),
                "{\"plan\":\"paid\"}",
                Some(|scene| scene.key("keys.updateKey", json!({"meta": {"plan": "free"}}))),
            ),
        ],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_changed_permission_or_role_is_changed_on_every_node() {
    use Asks::*;
    const LACKS: &str = "INSUFFICIENT_PERMISSIONS";
    follow_all(
        "permissions",
        &[
            edge(
                "taken from the key",
                Permission(OWN),
                "VALID",
                |scene| scene.key("keys.removePermissions", json!({"permissions": [OWN]})),
                LACKS,
                Some(|scene| scene.key("keys.addPermissions", json!({"permissions": [OWN]}))),
            ),
            edge(
                "all taken from the key",
                Permission(OWN),
                "VALID",
                |scene| scene.key("keys.setPermissions", json!({"permissions": []})),
                LACKS,
                Some(|scene| scene.key("keys.updateKey", json!({"permissions": [OWN]}))),
            ),
            edge(
                "a role taken from the key",
                Permission(BY_ROLE),
                "VALID",
                |scene| scene.key("keys.removeRoles", json!({"roles": ["writer"]})),
                LACKS,
                Some(|scene| scene.key("keys.addRoles", json!({"roles": ["writer"]}))),
            ),
            edge(
                "all roles taken from the key",
                Permission(BY_ROLE),
                "VALID",
                |scene| scene.key("keys.setRoles", json!({"roles": []})),
                LACKS,
                Some(|scene| scene.key("keys.updateKey", json!({"roles": ["writer"]}))),
            ),
            edge(
                "taken from the role",
                Permission(BY_ROLE),
                "VALID",
                |scene| {
                    scene.admin("permissions.setRolePermissions", json!({"role": "writer", "permissions": []}), &[])
                },
                LACKS,
                Some(|scene| {
                    scene.admin(
                        "permissions.setRolePermissions",
                        json!({"role": "writer", "permissions": [BY_ROLE]}),
                        &[],
                    );
                }),
            ),
            edge(
                "renamed",
                Permission(OWN),
                "VALID",
                |scene| scene.admin("permissions.updatePermission", json!({"permission": OWN, "slug": "other"}), &[]),
                LACKS,
                Some(|scene| {
                    scene.admin("permissions.updatePermission", json!({"permission": "other", "slug": OWN}), &[])
                }),
            ),
            edge(
                "the role renamed",
                Member("roles"),
                "[\"writer\"]",
                |scene| scene.admin("permissions.updateRole", json!({"role": "writer", "name": "author"}), &[]),
                "[\"author\"]",
                Some(|scene| scene.admin("permissions.updateRole", json!({"role": "author", "name": "writer"}), &[])),
            ),
            edge(
                "deleted",
                Permission(OWN),
                "VALID",
                |scene| scene.admin("permissions.deletePermission", json!({"permission": OWN}), &[]),
                LACKS,
                Some(|scene| scene.key("keys.updateKey", json!({"permissions": [OWN]}))),
            ),
            edge(
                "the role deleted",
                Permission(BY_ROLE),
                "VALID",
                |scene| scene.admin("permissions.deleteRole", json!({"role": "writer"}), &[]),
                LACKS,
                Some(|scene| {
                    scene.admin("permissions.createRole", json!({"name": "writer", "permissions": [BY_ROLE]}), &[]);
                    scene.key("keys.addRoles", json!({"roles": ["writer"]}));
                }),
            ),
        ],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_changed_owner_is_changed_on_every_node() {
    use Asks::*;
    const LACKS: &str = "INSUFFICIENT_PERMISSIONS";
    fn owner(scene: &Scene<'_>, operation: &str, body: Value) {
        scene.admin(operation, body, &[("identity", "owner")]);
    }
    follow_all(
        "owners",
        &[
            edge(
                "disabled",
                Plain,
                "VALID",
                |scene| owner(scene, "identities.updateIdentity", json!({"enabled": false})),
                "FORBIDDEN",
                Some(|scene| owner(scene, "identities.updateIdentity", json!({"enabled": true}))),
            ),
            edge(
                "its permissions",
                Permission(OF_OWNER),
                "VALID",
                |scene| owner(scene, "identities.setPermissions", json!({"permissions": []})),
                LACKS,
                Some(|scene| owner(scene, "identities.setPermissions", json!({"permissions": [OF_OWNER]}))),
            ),
            edge(
                "its roles",
                Permission(BY_OWNERS_ROLE),
                "VALID",
                |scene| owner(scene, "identities.setRoles", json!({"roles": []})),
                LACKS,
                Some(|scene| owner(scene, "identities.setRoles", json!({"roles": ["sharer"]}))),
            ),
            edge(
                "a permission of its role",
                Permission(BY_OWNERS_ROLE),
                "VALID",
                |scene| {
                    scene.admin("permissions.setRolePermissions", json!({"role": "sharer", "permissions": []}), &[])
                },
                LACKS,
                Some(|scene| {
                    let body = json!({"role": "sharer", "permissions": [BY_OWNERS_ROLE]});
                    scene.admin("permissions.setRolePermissions", body, &[]);
                }),
            ),
            edge(
                "its limits",
                Limit("shared"),
                "500",
                |scene| owner(scene, "identities.updateIdentity", json!({"ratelimits": [limit("shared", 7)]})),
                "7",
                Some(|scene| owner(scene, "identities.updateIdentity", json!({"ratelimits": [limit("shared", 500)]}))),
            ),
            edge(
                "deleted",
                Permission(OF_OWNER),
                "VALID",
                |scene| owner(scene, "identities.deleteIdentity", json!({})),
                LACKS,
                None,
            ),
            edge(
                "another one",
                Permission(OF_OWNER),
                "VALID",
                |scene| scene.key("keys.updateKey", json!({"externalId": "stranger"})),
                LACKS,
                Some(|scene| scene.key("keys.updateKey", json!({"externalId": "owner"}))),
            ),
            edge(
                "none",
                Permission(OF_OWNER),
                "VALID",
                |scene| scene.key("keys.updateKey", json!({"externalId": null})),
                LACKS,
                Some(|scene| scene.key("keys.updateKey", json!({"externalId": "owner"}))),
            ),
        ],
    );
}
