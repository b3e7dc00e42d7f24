//! `auditLogs.listEvents`.

use super::rows;
use super::sealed;
use crate::harness::World;
use keyward::model::audit::row::ChainHash;
use ring::digest;
use serde_json::Value;
use serde_json::json;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;

/// Everything that is listed with this filter, page after page.
fn listed(world: &World<'_>, filter: &Value, limit: i64) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut body = filter.clone();
        body["limit"] = json!(limit);
        if !cursor.is_null() {
            body["cursor"] = cursor;
        }
        let answer = world.admin.call("auditLogs.listEvents", body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        all.extend(answer.data().as_array().unwrap().clone());
        cursor = answer.body["pagination"]["cursor"].clone();
        if cursor.is_null() {
            return all;
        }
    }
}

/// Canonical JSON as `docs/audit.md` has it, made by other code than Keyward's.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            names.sort();
            let fields: Vec<_> =
                names.iter().map(|name| format!("{}:{}", json!(name), canonical(&fields[*name]))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// What the script of `docs/audit.md` says of an export: its exit code.
fn documented_script(events: &[Value]) -> Option<i32> {
    let page = include_str!("../../../docs/audit.md");
    let script = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let spawned = Command::new("python3")
        .arg("-c")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // There are machines without Python; the form is tested without it, too.
    let mut child = spawned.ok()?;
    let lines: Vec<_> = events.iter().map(|event| format!("{event}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.concat().as_bytes()).unwrap();
    child.wait().unwrap().code()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    ChainHash::parse(text).unwrap().as_bytes().to_vec()
}

#[test]
fn an_export_can_be_verified_by_whoever_has_it() {
    let world = World::new();
    let admin = world.admin.clone().header("user-agent", "curl \"8\" \\ ü");
    let api = admin.ok("apis.createApi", json!({"name": "naïve \"api\" \\ 😀\u{1}\u{7f}"}))["apiId"].clone();
    admin.ok("apis.updateApi", json!({"apiId": api, "ipWhitelist": ["::1"], "deleteProtection": true}));
    admin.ok("permissions.createRole", json!({"name": "editor", "permissions": ["a", "b"]}));
    sealed(&world);
    let events = listed(&world, &json!({}), 3);
    let mut previous = "0".repeat(64);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["sequence"], index + 1);
        assert_eq!(event["previousHash"], *previous);
        let mut row = event.as_object().unwrap().clone();
        let hash = row.remove("hash").unwrap();
        row.remove("previousHash").unwrap();
        let text = unhex(&previous).into_iter().chain(canonical(&Value::Object(row)).into_bytes()).collect::<Vec<_>>();
        assert_eq!(hash, *hex(digest::digest(&digest::SHA256, &text).as_ref()), "{event}");
        previous = hash.as_str().unwrap().to_owned();
    }
    assert_eq!(events, listed(&world, &json!({}), 100), "pages do not change what is in them");
    if let Some(code) = documented_script(&events) {
        assert_eq!(code, 0, "the script of docs/audit.md agrees");
        let mut forged = events.clone();
        forged[3]["description"] = json!("nothing to see");
        assert_eq!(documented_script(&forged), Some(1));
    }
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["workspace.create", "rootKey.create", "api.create", "api.update"]);
}

#[test]
fn each_filter_leaves_what_it_says() {
    let world = World::new();
    let (id, second) = world.root_key_until(&["api.*.update_api", "api.*.read_api"], None);
    let (one, two) = (world.api(), world.api());
    rows(&world, &one, 2);
    let answer = second.call("apis.updateApi", json!({"apiId": two, "deleteProtection": true}));
    let request = answer.body["meta"]["requestId"].clone();
    sealed(&world);
    let all = listed(&world, &json!({}), 100);
    let only = |filter: Value, wanted: &dyn Fn(&Value) -> bool| {
        let expected: Vec<_> = all.iter().filter(|event| wanted(event)).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{filter}");
        for limit in [1, 100] {
            assert_eq!(listed(&world, &filter, limit), expected, "{filter}");
        }
    };
    let about = |event: &Value, id: &str| event["resources"].as_array().unwrap().iter().any(|it| it["id"] == id);
    only(json!({"event": "api.update"}), &|event| event["event"] == "api.update");
    only(json!({"actorId": id}), &|event| event["actor"]["id"] == id.as_str());
    only(json!({"actorId": "cli"}), &|event| event["actor"]["type"] == "operator");
    only(json!({"resourceId": one}), &|event| about(event, &one));
    only(json!({"resourceId": two, "event": "api.update"}), &|event| {
        about(event, &two) && event["event"] == "api.update"
    });
    only(json!({"requestId": request}), &|event| event["requestId"] == request);
    let middle = all[all.len() / 2]["time"].as_i64().unwrap() + 1;
    for (filter, wanted) in [(json!({"from": middle}), true), (json!({"to": middle}), false)] {
        let expected: Vec<_> =
            all.iter().filter(|event| (event["time"].as_i64().unwrap() >= middle) == wanted).cloned().collect();
        assert_eq!(listed(&world, &filter, 100), expected, "{filter}");
    }
    assert_eq!(listed(&world, &json!({"resourceId": "never was"}), 100), Vec::<Value>::new());
    let last = all.last().unwrap();
    assert_eq!(last["changes"], json!([{"field": "deleteProtection", "from": false, "resource": two, "to": true}]));
    assert_eq!(last["actor"], json!({"type": "rootkey", "id": id.as_str(), "name": "test"}));
    assert_eq!(last["address"], "127.0.0.1");
}

#[test]
fn only_sealed_rows_are_listed_and_requests_are_bounded() {
    let world = World::new();
    sealed(&world);
    let before = listed(&world, &json!({}), 100).len();
    world.execute(
        "INSERT INTO audit_log (id, workspace_id, at, event, actor_type, actor_id, actor_name, display, correlation_id, \
         resources) VALUES ('zzz' || $ws, $ws, now(), 'x', 'x', 'x', 'x', 'x', 'x', '{}')",
    );
    assert_eq!(listed(&world, &json!({}), 100).len(), before, "what Keyward has not written is never sealed");
    world.execute("DELETE FROM audit_log WHERE workspace_id = $ws AND event = 'x'");
    for (body, location) in [
        (json!({"limit": 0}), "body.limit"),
        (json!({"limit": 101}), "body.limit"),
        (json!({"from": -1}), "body.from"),
        (json!({"to": 253_402_300_800_000_i64}), "body.to"),
        (json!({"event": ""}), "body.event"),
        (json!({"resourceId": "\u{0}"}), "body.resourceId"),
        (json!({"actorId": "x".repeat(513)}), "body.actorId"),
    ] {
        let answer = world.admin.call("auditLogs.listEvents", body);
        assert_eq!(answer.refused(400, "unkey/application/invalid_input").locations(), [location]);
    }
    // As in every list: a text that no page gave is no error.
    assert_eq!(world.admin.ok("auditLogs.listEvents", json!({"cursor": "x"})).as_array().unwrap().len(), before);
}
