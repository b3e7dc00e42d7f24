//! `now` and `before` of `decisions.explain`: would the same request pass today, since when, and through which change.

use crate::decisions::explained;
use crate::decisions::request_id;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::fixtures::MadeKey;
use crate::harness::fixtures::operate;
use crate::harness::server::Options;
use chrono::Duration;
use keyward::domain::workspaces;
use serde_json::Value;
use serde_json::json;

/// A world on a server whose clock is moved.
struct Scene<'s> {
    world: World<'s>,
    server: &'s Server,
    api: String,
    key: MadeKey,
}

impl<'s> Scene<'s> {
    fn on(server: &'s Server, key: Value) -> Self {
        let world = World::on(server);
        let api = world.api();
        world.admin.ok("permissions.createRole", json!({"name": "editor", "permissions": ["docs.read", "docs.write"]}));
        world.admin.ok("permissions.createRole", json!({"name": "author", "permissions": ["docs.write"]}));
        let key = world.key(&api, key);
        Self { world, server, api, key }
    }

    /// Lets an hour pass.
    fn hour(&self) -> i64 {
        self.server.clock.advance(Duration::hours(1));
        self.server.clock.now().timestamp_millis()
    }

    /// Makes a change by a root key of its own, an hour later; what the log has to say of it: when, event and who.
    fn change(&self, operation: &str, body: Value) -> (i64, String) {
        let from = self.hour();
        let (id, client) = self.world.root_key_until(&keyward::authz::preset::Preset::Admin.tuples(), None);
        client.ok(operation, body);
        (from, id.to_string())
    }

    /// A verification that is refused with this code; its request id.
    fn denied(&self, fields: Value, code: &str) -> String {
        self.hour();
        self.denied_now(fields, code)
    }

    fn denied_now(&self, mut fields: Value, code: &str) -> String {
        fields["key"] = json!(self.key.plaintext);
        let answer = self.world.admin.call("keys.verifyKey", fields);
        assert_eq!(answer.data()["code"], code, "{}", answer.text);
        request_id(&answer)
    }

    fn explain(&self, id: &str) -> Value {
        explained(&self.world.admin, id)
    }
}

/// What the log says of a change is that change, to the second: when, what and who.
#[track_caller]
fn is_change(told: &Value, (from, actor): &(i64, String), event: &str, text: &str) {
    assert_eq!(told["event"], event, "{told}");
    assert_eq!((&told["actor"]["type"], &told["actor"]["id"]), (&json!("rootkey"), &json!(actor)), "{told}");
    let time = told["time"].as_i64().unwrap();
    assert!((*from..*from + 60_000).contains(&time), "{told} is not of {from}");
    assert!(told["text"].as_str().unwrap().contains(text), "{told} lacks {text}");
}

/// It would be allowed since that change, and because of it.
#[track_caller]
fn allowed_since(explained: &Value, change: &(i64, String), event: &str, text: &str) {
    let now = &explained["now"];
    assert_eq!((&now["allowed"], &now["code"]), (&json!(true), &json!("VALID")), "{now}");
    assert_eq!((now["because"].as_array().unwrap().len(), &now["missing"]), (1, &json!([])), "{now}");
    is_change(&now["because"][0], change, event, text);
    assert_eq!(now["since"], now["because"][0]["time"], "{now}");
}

const WRITE: &str = "docs.write";

fn asks() -> Value {
    json!({"permissions": WRITE})
}

#[test]
fn what_a_role_lost_and_the_key_got_by_another_route() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({"externalId": "acme", "roles": ["editor"]}));
    let lost = scene.change("permissions.setRolePermissions", json!({"role": "editor", "permissions": ["docs.read"]}));
    let id = scene.denied(asks(), "INSUFFICIENT_PERMISSIONS");
    let first = scene.explain(&id);
    is_change(
        &first["before"][0],
        &lost,
        "authorization.disconnect_role_and_permissions",
        "role `editor` lost `docs.write`",
    );
    assert_eq!((&first["now"]["allowed"], &first["now"]["missing"]), (&json!(false), &json!([WRITE])));
    assert_eq!((first["now"].get("since"), &first["now"]["because"]), (None, &json!([])));

    // What does not matter to it does not count.
    scene.change("keys.addPermissions", json!({"keyId": scene.key.id, "permissions": ["docs.list"]}));
    scene.change("permissions.createRole", json!({"name": "other", "permissions": [WRITE]}));
    // By the owner's role, which stays the reason when the key gets it itself, too.
    let given = scene.change("identities.setRoles", json!({"identity": "acme", "roles": ["author"]}));
    allowed_since(&scene.explain(&id), &given, "authorization.connect_role_and_identity", "got role `author`");
    scene.change("keys.addPermissions", json!({"keyId": scene.key.id, "permissions": [WRITE]}));
    allowed_since(&scene.explain(&id), &given, "authorization.connect_role_and_identity", "got role `author`");
    // The first route goes: it has been allowed without a gap all the same.
    scene.change("identities.setRoles", json!({"identity": "acme", "roles": []}));
    let now = scene.explain(&id)["now"].clone();
    assert_eq!((&now["allowed"], now["since"].as_i64().unwrap() / 60_000), (&json!(true), given.0 / 60_000));
    // And then nothing gives it any more: refused for the same reason as then.
    scene.change("keys.setPermissions", json!({"keyId": scene.key.id, "permissions": []}));
    let now = scene.explain(&id)["now"].clone();
    assert_eq!((&now["allowed"], now.get("since")), (&json!(false), None), "{now}");
    // A gap starts it anew.
    let again = scene.change("permissions.setRolePermissions", json!({"role": "editor", "permissions": [WRITE]}));
    allowed_since(
        &scene.explain(&id),
        &again,
        "authorization.connect_role_and_permission",
        "role `editor` got `docs.write`",
    );
}

#[test]
fn a_role_or_a_permission_that_was_deleted_tells_what_went_with_it() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({"roles": ["editor"]}));
    let deleted = scene.change("permissions.deleteRole", json!({"role": "editor"}));
    let id = scene.denied(asks(), "INSUFFICIENT_PERMISSIONS");
    let before = scene.explain(&id)["before"].clone();
    is_change(&before[0], &deleted, "role.delete", "role `editor` was deleted; it had `docs.read`, `docs.write`");
    let given = scene.change("keys.addRoles", json!({"keyId": scene.key.id, "roles": ["author"]}));
    allowed_since(&scene.explain(&id), &given, "authorization.connect_role_and_key", "got role `author`");

    let deleted = scene.change("permissions.deletePermission", json!({"permission": WRITE}));
    let second = scene.denied(asks(), "INSUFFICIENT_PERMISSIONS");
    let before = scene.explain(&second)["before"].clone();
    is_change(&before[0], &deleted, "permission.delete", "permission `docs.write` was deleted");
    is_change(&before[1], &given, "authorization.connect_role_and_key", "got role `author`");
    // A slug is what it is called: another permission that gets it will do.
    let renamed = scene.change("permissions.updatePermission", json!({"permission": "docs.read", "slug": WRITE}));
    scene.world.admin.ok("keys.addPermissions", json!({"keyId": scene.key.id, "permissions": [WRITE]}));
    let now = scene.explain(&second)["now"].clone();
    assert_eq!(now["because"].as_array().unwrap().len(), 2, "{now}");
    is_change(&now["because"][1], &renamed, "permission.update", "`slug` was `docs.read` and became `docs.write`");
}

#[test]
fn all_that_it_took_is_named() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({}));
    let id = scene.denied(json!({"permissions": "a AND b"}), "INSUFFICIENT_PERMISSIONS");
    let a = scene.change("keys.addPermissions", json!({"keyId": scene.key.id, "permissions": ["a"]}));
    let now = scene.explain(&id)["now"].clone();
    // Still refused, and for less: since then, because of that.
    assert_eq!((&now["allowed"], &now["missing"]), (&json!(false), &json!(["b"])));
    is_change(&now["because"][0], &a, "authorization.connect_permission_and_key", "got `a`");
    let b = scene.change("keys.addPermissions", json!({"keyId": scene.key.id, "permissions": ["b"]}));
    let now = scene.explain(&id)["now"].clone();
    assert_eq!((&now["allowed"], now["because"].as_array().unwrap().len()), (&json!(true), 2), "{now}");
    is_change(&now["because"][0], &b, "authorization.connect_permission_and_key", "got `b`");
    is_change(&now["because"][1], &a, "authorization.connect_permission_and_key", "got `a`");
    assert_eq!(now["since"], now["because"][0]["time"]);
}

#[test]
fn states_of_the_key_its_owner_and_its_api() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({"externalId": "acme"}));
    let update = |mut fields: Value| {
        fields["keyId"] = json!(scene.key.id);
        scene.change("keys.updateKey", fields)
    };
    let owner =
        |enabled: bool| scene.change("identities.updateIdentity", json!({"identity": "acme", "enabled": enabled}));
    let list = |list: Value| scene.change("apis.updateApi", json!({"apiId": scene.api, "ipWhitelist": list}));

    let off = update(json!({"enabled": false}));
    let id = scene.denied(json!({}), "DISABLED");
    is_change(&scene.explain(&id)["before"][0], &off, "key.update", "`enabled` was true and became false");
    let on = update(json!({"enabled": true}));
    allowed_since(&scene.explain(&id), &on, "key.update", "became true");

    let off = owner(false);
    let id = scene.denied(json!({}), "FORBIDDEN");
    is_change(&scene.explain(&id)["before"][0], &off, "identity.update", "owner `acme`: `enabled` was true");
    let on = owner(true);
    allowed_since(&scene.explain(&id), &on, "identity.update", "became true");
    // Another owner will do, too.
    owner(false);
    let id = scene.denied(json!({}), "FORBIDDEN");
    let moved = update(json!({"externalId": "other"}));
    allowed_since(&scene.explain(&id), &moved, "key.update", "`owner`");

    let listed = list(json!(["192.0.2.1"]));
    let id = scene.denied(json!({"clientIp": "192.0.2.7"}), "FORBIDDEN");
    is_change(&scene.explain(&id)["before"][0], &listed, "api.update", "`ipWhitelist` got `192.0.2.1`");
    let listed = list(json!(["192.0.2.0/24"]));
    allowed_since(&scene.explain(&id), &listed, "api.update", "`ipWhitelist`");
}

#[test]
fn an_end_that_came_and_was_moved() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({}));
    let end = scene.server.clock.now().timestamp_millis() + 90 * 60_000;
    scene.change("keys.updateKey", json!({"keyId": scene.key.id, "expires": end}));
    let id = scene.denied(asks(), "EXPIRED");
    assert_eq!(scene.explain(&id)["required"]["expires"], end);
    let moved = scene.change("keys.updateKey", json!({"keyId": scene.key.id, "expires": null, "permissions": [WRITE]}));
    let now = scene.explain(&id)["now"].clone();
    assert_eq!((&now["allowed"], now["because"].as_array().unwrap().len()), (&json!(true), 2), "{now}");
    assert!((moved.0..moved.0 + 60_000).contains(&now["since"].as_i64().unwrap()), "{now}");

    // What was refused for another reason is expired by now: no change made it so, time did.
    let lacking = scene.denied(json!({"permissions": "other"}), "INSUFFICIENT_PERMISSIONS");
    let end = scene.server.clock.now().timestamp_millis() + 90 * 60_000;
    scene.change("keys.updateKey", json!({"keyId": scene.key.id, "expires": end}));
    scene.hour();
    let now = scene.explain(&lacking)["now"].clone();
    assert_eq!((&now["code"], &now["step"]), (&json!("EXPIRED"), &json!("expiry")));
    assert_eq!((&now["since"], &now["because"]), (&json!(end), &json!([])), "{now}");
}

#[test]
fn a_key_that_was_deleted_since() {
    for permanent in [false, true] {
        let server = Options::default().start();
        let scene = Scene::on(&server, json!({}));
        let id = scene.denied(asks(), "INSUFFICIENT_PERMISSIONS");
        let gone = scene.change("keys.deleteKey", json!({"keyId": scene.key.id, "permanent": permanent}));
        let now = scene.explain(&id)["now"].clone();
        assert_eq!(
            (&now["allowed"], &now["code"], &now["step"]),
            (&json!(false), &json!("NOT_FOUND"), &json!("lookup"))
        );
        is_change(&now["because"][0], &gone, "key.delete", "was deleted");
        assert_eq!(now["since"], now["because"][0]["time"]);
    }
}

#[test]
fn credits_that_were_set_and_refills_that_fell_due() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({"credits": {"remaining": 1}}));
    let credits = |mut fields: Value| {
        fields["keyId"] = json!(scene.key.id);
        scene.change("keys.updateCredits", fields)
    };
    let id = scene.denied(json!({"credits": {"cost": 5}}), "USAGE_EXCEEDED");
    assert_eq!(scene.explain(&id)["now"]["code"], "USAGE_EXCEEDED");
    credits(json!({"operation": "increment", "value": 1}));
    assert_eq!(scene.explain(&id)["now"]["allowed"], false);
    let set = credits(json!({"operation": "set", "value": 9}));
    allowed_since(&scene.explain(&id), &set, "key.update", "`credits` was 2 and became 9");
    credits(json!({"operation": "increment", "value": 1}));
    allowed_since(&scene.explain(&id), &set, "key.update", "`credits` was 2 and became 9");
    let unlimited = {
        credits(json!({"operation": "set", "value": 0}));
        credits(json!({"operation": "set", "value": null}))
    };
    allowed_since(&scene.explain(&id), &unlimited, "key.update", "became null");
    credits(json!({"operation": "set", "value": 0}));
    let refill = json!({"remaining": 0, "refill": {"interval": "daily", "amount": 7}});
    scene.change("keys.updateKey", json!({"keyId": scene.key.id, "credits": refill}));
    let id = scene.denied(json!({"credits": {"cost": 5}}), "USAGE_EXCEEDED");
    scene.server.clock.advance(Duration::days(1));
    let now = scene.explain(&id)["now"].clone();
    let midnight = scene.server.clock.now().date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
    assert_eq!((&now["allowed"], &now["because"]), (&json!(true), &json!([])), "{now}");
    assert_eq!(now["since"], midnight.timestamp_millis(), "{now}");
    // Nothing of all that spent anything.
    let data = scene.world.admin.ok("keys.verifyKey", json!({"key": scene.key.plaintext, "credits": {"cost": 7}}));
    assert_eq!((&data["code"], &data["credits"]), (&json!("VALID"), &json!(0)));
}

#[test]
fn a_window_that_has_passed_and_a_limit_that_was_raised() {
    let server = Options::default().start();
    let limit = |limit: i64| json!([{"name": "requests", "limit": limit, "duration": 60_000, "autoApply": true}]);
    let scene = Scene::on(&server, json!({"ratelimits": limit(1)}));
    let full = || {
        scene.hour();
        assert_eq!(scene.world.verdict(&scene.key.plaintext), "VALID");
        scene.denied_now(json!({}), "RATE_LIMITED")
    };
    let id = full();
    let first = scene.explain(&id);
    assert_eq!((&first["now"]["allowed"], &first["now"]["code"]), (&json!(false), &json!("RATE_LIMITED")));
    scene.hour();
    let now = scene.explain(&id)["now"].clone();
    assert_eq!((&now["allowed"], now.get("since"), &now["because"]), (&json!(true), None, &json!([])), "{now}");
    assert!(now["text"].as_str().unwrap().contains("ended at"), "{now}");

    let id = full();
    let (who, raiser) = scene.world.root_key_until(&["api.*.update_key"], None);
    raiser.ok("keys.updateKey", json!({"keyId": scene.key.id, "ratelimits": limit(2)}));
    let now = scene.explain(&id)["now"].clone();
    assert_eq!((&now["allowed"], &now["because"][0]["actor"]["id"]), (&json!(true), &json!(who)), "{now}");
    assert!(now["because"][0]["text"].as_str().unwrap().contains("`limit` was 1 and became 2"), "{now}");
}

// ---- root keys

/// A call that is refused; its request id.
fn refused(client: &Client, operation: &str, body: Value, code: &str) -> String {
    let answer = client.call(operation, body);
    assert_eq!(answer.code(), code, "{}", answer.text);
    request_id(&answer)
}

#[test]
fn permissions_of_a_root_key() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({}));
    let (id, client) = scene.world.root_key_until(&["api.*.read_api", "api.*.create_key"], None);
    let update =
        |permissions: Value| scene.change("rootKeys.updateKey", json!({"keyId": id, "permissions": permissions}));
    let lost = update(json!(["api.*.read_api"]));
    scene.hour();
    let create = json!({"apiId": scene.api});
    let denied = refused(&client, "keys.createKey", create.clone(), "unkey/authorization/insufficient_permissions");
    let first = scene.explain(&denied);
    is_change(&first["before"][0], &lost, "rootKey.update", "lost `api.*.create_key`");
    assert_eq!(first["now"]["missing"], first["missing"]);
    // Of another API it is of no use; of this one it is.
    update(json!(["api.*.read_api", "api.api_other.create_key"]));
    assert_eq!(scene.explain(&denied)["now"]["allowed"], false);
    let own = format!("api.{}.create_key", scene.api);
    let given = update(json!([own]));
    allowed_since(&scene.explain(&denied), &given, "rootKey.update", &format!("got `{own}`"));
    client.ok("keys.createKey", create);
    // Whoever was denied is told no more than that.
    let told = explained(&client, &denied);
    assert_eq!((told.get("before"), &told["now"]["because"]), (None, &json!([])));
    assert_eq!(told["now"]["allowed"], true);
}

#[test]
fn states_of_a_root_key_and_its_workspace() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({}));
    let (id, client) = scene.world.root_key_until(&["api.*.read_api"], None);
    let switch = |enabled: bool| scene.change("rootKeys.updateKey", json!({"keyId": id, "enabled": enabled}));
    let off = switch(false);
    scene.hour();
    let denied = refused(&client, "apis.listApis", json!({}), "unkey/authorization/key_disabled");
    is_change(&scene.explain(&denied)["before"][0], &off, "rootKey.update", "`enabled` was true and became false");
    let on = switch(true);
    allowed_since(&scene.explain(&denied), &on, "rootKey.update", "became true");

    let workspace = |enabled: bool| {
        let at = scene.hour();
        operate(&server, |tx| workspaces::set_enabled(tx, scene.world.workspace.as_str(), enabled));
        at
    };
    workspace(false);
    let denied = refused(&client, "apis.listApis", json!({}), "unkey/authorization/workspace_disabled");
    let at = workspace(true);
    let now = scene.explain(&denied)["now"].clone();
    assert_eq!((&now["allowed"], &now["because"][0]["event"]), (&json!(true), &json!("workspace.update")), "{now}");
    assert_eq!(now["because"][0]["actor"]["type"], "operator");
    assert!((at..at + 60_000).contains(&now["since"].as_i64().unwrap()), "{now}");

    let denied =
        refused(&client, "apis.createApi", json!({"name": "another"}), "unkey/authorization/insufficient_permissions");
    let gone = scene.change("rootKeys.deleteKey", json!({"keyId": id}));
    let now = scene.explain(&denied)["now"].clone();
    assert_eq!((&now["allowed"], &now["step"]), (&json!(false), &json!("rootKey")), "{now}");
    is_change(&now["because"][0], &gone, "rootKey.delete", "was deleted");
}

#[test]
fn a_calling_root_key_that_covers_the_api_now() {
    let server = Options::default().start();
    let scene = Scene::on(&server, json!({}));
    let (id, verifier) = scene.world.root_key_until(&["api.api_other.verify_key"], None);
    scene.hour();
    let answer = verifier.call("keys.verifyKey", json!({"key": scene.key.plaintext}));
    assert_eq!(answer.data()["code"], "NOT_FOUND");
    let denied = request_id(&answer);
    assert_eq!(scene.explain(&denied)["now"]["allowed"], false);
    let given = scene.change("rootKeys.updateKey", json!({"keyId": id, "permissions": ["api.*.verify_key"]}));
    allowed_since(&scene.explain(&denied), &given, "rootKey.update", "got `api.*.verify_key`");
}

#[test]
fn asking_again_consumes_nothing_and_writes_nothing() {
    let server = Options::default().start();
    let limits = json!([{"name": "requests", "limit": 1, "duration": 60_000, "autoApply": true}]);
    let scene = Scene::on(&server, json!({"credits": {"remaining": 5}, "ratelimits": limits}));
    let id = scene.denied(asks(), "INSUFFICIENT_PERMISSIONS");
    scene.change("keys.addPermissions", json!({"keyId": scene.key.id, "permissions": [WRITE]}));
    scene.explain(&id);
    let before = scene.world.everything();
    for _ in 0..3 {
        assert_eq!(scene.explain(&id)["now"]["allowed"], true);
    }
    assert_eq!(scene.world.everything(), before);
    let data = scene.world.admin.ok("keys.verifyKey", json!({"key": scene.key.plaintext, "permissions": WRITE}));
    assert_eq!(
        (&data["code"], &data["credits"], &data["ratelimits"][0]["remaining"]),
        (&json!("VALID"), &json!(4), &json!(0))
    );
}
