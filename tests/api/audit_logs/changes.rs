//! Which fields became what: of each field that decides on something the last change is found, and who made it.

use crate::harness::World;
use keyward::domain::workspaces;
use keyward::model::audit::Changed;
use keyward::model::id::RequestId;
use keyward::model::id::RootKeyId;
use keyward::model::origin::Actor;
use keyward::model::origin::Event;
use keyward::model::origin::Origin;
use keyward::model::origin::Resource;
use keyward::store::tx::AuditEvent;
use serde_json::Value;
use serde_json::json;

/// `changes` of the workspace's rows that have any, oldest first.
fn changes(world: &World<'_>) -> Vec<Value> {
    world
        .rows("SELECT event, changes FROM audit_log WHERE workspace_id = $ws AND changes IS NOT NULL ORDER BY id")
        .into_iter()
        .map(|row| json!([row["event"], row["changes"]]))
        .collect()
}

fn change(resource: &str, field: &str, from: impl Into<Value>, to: impl Into<Value>) -> Value {
    json!({"resource": resource, "field": field, "from": from.into(), "to": to.into()})
}

#[test]
fn of_a_key_the_fields_that_decide_are_told_and_only_if_they_change() {
    let world = World::new();
    let key = world.key(&world.api(), json!({"name": "one", "expires": 4_000_000_000_000_i64}));
    let id = key.id.as_str();
    for fields in [
        json!({"enabled": false, "name": "two", "meta": {"a": 1}}),
        json!({"enabled": false}),
        json!({"enabled": true, "expires": null}),
        json!({"externalId": "ada"}),
        json!({"expires": 4_000_000_000_001_i64, "externalId": null}),
    ] {
        let mut body = fields;
        body["keyId"] = json!(id);
        world.admin.ok("keys.updateKey", body);
    }
    let owner = world.admin.ok("identities.getIdentity", json!({"identity": "ada"}))["id"].clone();
    let now = world.server.clock.now().timestamp_millis();
    let new = world.admin.ok("keys.rerollKey", json!({"keyId": id, "expiration": 60_000}))["keyId"].clone();
    let found = changes(&world);
    let update = |changes: Value| json!(["key.update", changes]);
    assert_eq!(
        found[..4],
        [
            update(json!([change(id, "enabled", true, false)])),
            update(json!([
                change(id, "enabled", false, true),
                change(id, "expires", 4_000_000_000_000_i64, Value::Null)
            ])),
            update(json!([change(id, "owner", Value::Null, owner.clone())])),
            update(json!([
                change(id, "expires", Value::Null, 4_000_000_000_001_i64),
                change(id, "owner", owner, Value::Null)
            ])),
        ]
    );
    // Of a reroll it is the old key whose life ends earlier, and the row says so.
    assert_eq!(found[4][0], "key.reroll");
    let expires = &found[4][1][0];
    assert_eq!((&expires["resource"], &expires["field"]), (&json!(id), &json!("expires")));
    let to = expires["to"].as_i64().unwrap();
    assert!((now + 60_000..now + 90_000).contains(&to), "{expires}");
    assert_ne!(new, id);
    assert_eq!(found.len(), 5);
}

#[test]
fn of_identities_apis_root_keys_permissions_roles_and_workspaces_too() {
    let world = World::new();
    let identity = world.admin.ok("identities.createIdentity", json!({"externalId": "ada"}))["identityId"].clone();
    let identity = identity.as_str().unwrap();
    for enabled in [false, false, true] {
        world.admin.ok("identities.updateIdentity", json!({"identity": "ada", "enabled": enabled, "meta": {"a": 1}}));
    }
    let api = world.api_with(json!({"deleteProtection": true, "recoverable": false}));
    world.admin.ok(
        "apis.updateApi",
        json!({"apiId": api, "ipWhitelist": ["::1"], "recoverable": true, "defaultPrefix": "sk", "name": "new name"}),
    );
    let minted = world.admin.ok("rootKeys.createKey", json!({"permissions": ["api.*.read_api"], "name": "reader"}));
    let root_key = minted["keyId"].as_str().unwrap();
    world.admin.ok(
        "rootKeys.updateKey",
        json!({"keyId": root_key, "enabled": false, "name": null, "permissions": ["api.*.read_key"]}),
    );
    world.admin.ok("permissions.createPermission", json!({"name": "Read", "slug": "docs.read"}));
    world.admin.ok("permissions.updatePermission", json!({"permission": "docs.read", "slug": "docs.show"}));
    world.admin.ok("permissions.updatePermission", json!({"permission": "docs.show", "description": "only this"}));
    world.admin.ok("permissions.createRole", json!({"name": "reader"}));
    world.admin.ok("permissions.updateRole", json!({"role": "reader", "name": "viewer"}));
    let permission = world.admin.ok("permissions.getPermission", json!({"permission": "docs.show"}))["id"].clone();
    let role = world.admin.ok("permissions.getRole", json!({"role": "viewer"}))["id"].clone();
    let name = world.workspace.to_string();
    for enabled in [false, false, true] {
        crate::harness::fixtures::operate(world.server, |tx| workspaces::set_enabled(tx, &name, enabled).map(drop));
    }
    assert_eq!(
        changes(&world),
        [
            json!(["identity.update", [change(identity, "enabled", true, false)]]),
            json!(["identity.update", [change(identity, "enabled", false, true)]]),
            json!(["api.update", [change(&api, "deleteProtection", false, true)]]),
            json!([
                "api.update",
                [
                    change(&api, "name", "test api", "new name"),
                    change(&api, "defaultPrefix", Value::Null, "sk"),
                    change(&api, "recoverable", false, true),
                    change(&api, "ipWhitelist", json!([]), json!(["::1"])),
                ]
            ]),
            json!([
                "rootKey.update",
                [
                    change(root_key, "enabled", true, false),
                    change(root_key, "name", "reader", Value::Null),
                    change(root_key, "permissions", json!(["api.*.read_api"]), json!(["api.*.read_key"])),
                ]
            ]),
            json!(["permission.update", [change(permission.as_str().unwrap(), "slug", "docs.read", "docs.show")]]),
            json!(["role.update", [change(role.as_str().unwrap(), "name", "reader", "viewer")]]),
            json!(["workspace.update", [change(&name, "enabled", true, false)]]),
            json!(["workspace.update", [change(&name, "enabled", false, true)]]),
        ]
    );
}

#[test]
fn changes_that_race_tell_of_each_other() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let calls = |operation: &'static str, name: &'static str, id: &str| {
        let threads: Vec<_> = (0..8)
            .map(|i| {
                let (admin, id) = (world.admin.clone(), id.to_owned());
                std::thread::spawn(move || {
                    let field = if name == "apiId" { "deleteProtection" } else { "enabled" };
                    admin.ok(operation, json!({name: id, field: i % 2 == 0}));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    };
    calls("keys.updateKey", "keyId", &key.id);
    calls("apis.updateApi", "apiId", &api);
    world.admin.ok("identities.createIdentity", json!({"externalId": "ada"}));
    calls("identities.updateIdentity", "identity", "ada");
    // Each begins with what another one left: the changes of one field form one alternating row.
    let mut last = std::collections::HashMap::new();
    for row in changes(&world) {
        for change in row[1].as_array().unwrap() {
            let field = format!("{} {}", change["resource"], change["field"]);
            let times = last.entry(field).or_insert_with(Vec::new);
            times.push((change["from"].clone(), change["to"].clone()));
        }
    }
    for (field, changes) in last {
        let (on, off): (Vec<_>, Vec<_>) = changes.iter().partition(|(_, to)| *to == json!(true));
        assert!(changes.iter().all(|(from, to)| from != to), "{field}: {changes:?}");
        assert!(on.len().abs_diff(off.len()) <= 1, "{field}: {changes:?}");
    }
}

#[test]
fn a_batch_writes_rows_of_many_origins_each_in_its_own_moment() {
    let world = World::new();
    let at = world.server.clock.now() - chrono::Duration::minutes(5);
    let workspace = world.workspace.clone();
    let request_id = RequestId::generate();
    let actor = Actor::RootKey { id: RootKeyId::from_text("root_1"), name: "writer".into() };
    let origin = Origin {
        address: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some("curl".to_owned()),
        request_id: request_id.clone(),
        ..Origin::local(actor)
    };
    let server = world.server;
    server
        .app
        .db
        .write_now(&Origin::local(Actor::System), |tx| {
            let event = |name: &str| {
                let resources = vec![Resource::new("key", "key_1", None)];
                AuditEvent::new(&workspace, Event::Denied, format!("denied {name}"), resources)
                    .changing(Changed::of("key_1"))
            };
            tx.note_as(origin.clone(), at, event("one"));
            tx.note_as(Origin::local(Actor::System), at, event("two"));
            Ok(())
        })
        .unwrap();
    let rows = world.rows(
        "SELECT event, actor_type, actor_id, actor_name, display, address, user_agent, correlation_id, changes, \
         (extract(epoch FROM at) * 1000)::bigint AS at FROM audit_log WHERE workspace_id = $ws \
         AND event = 'authorization.denied' ORDER BY id",
    );
    assert_eq!(
        rows[0],
        json!({"event": "authorization.denied", "actor_type": "rootkey", "actor_id": "root_1", "actor_name": "writer",
            "display": "denied one", "address": "192.0.2.7", "user_agent": "curl",
            "correlation_id": request_id.as_str(), "changes": null, "at": at.timestamp_millis()})
    );
    assert_eq!((&rows[1]["actor_type"], &rows[1]["address"]), (&json!("system"), &Value::Null));
    assert_eq!(rows.len(), 2);
}
