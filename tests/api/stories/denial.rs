//! A denial that somebody asks about, from the complaint to the repair: which credential, whose, what was required, by which
//! route it is held, what took it away, what would help, and what is true today. Over HTTP and on the command line, two servers.

use crate::freshness::at;
use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::World;
use crate::harness::eventually;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::server::Options;
use crate::harness::soon;
use crate::permissions::role;
use serde_json::Value;
use serde_json::json;

fn request_id(answer: &Answer) -> &str {
    answer.body["meta"]["requestId"].as_str().unwrap()
}

/// The record of a request, from a server that did not make it itself: as soon as it is stored.
fn explained(reader: &Client, request: &str) -> Value {
    eventually("there is a record", || {
        let answer = reader.call("decisions.explain", json!({"requestId": request}));
        (answer.status == 200).then(|| answer.data().clone())
    })
}

/// Asserts that each of these stands in a text, in this order.
#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("no `{part}` in its place in\n{text}")).1;
    }
}

fn now_ms(server: &crate::harness::Server) -> i64 {
    server.clock.now().timestamp_millis()
}

#[test]
#[expect(
    clippy::too_many_lines,
    clippy::cognitive_complexity,
    reason = "a story is told from its beginning to its end"
)]
fn an_owners_key_is_denied_and_everybody_can_know_why_and_since_when() {
    let database = postgres::fresh_database();
    let [here, there] = [(); 2].map(|()| Options::default().database(&database).start());
    let world = World::on(&here);
    let operator = &world.admin;
    let (service_id, service) = world.root_key_until(&["api.*.verify_key"], None);
    let (ops_id, ops) =
        world.root_key_until(&["rbac.*.add_permission_to_role", "rbac.*.remove_permission_from_role"], None);
    let api = world.api();
    role(&world, "editor", &["documents.read", "documents.write"]);
    operator.ok("identities.createIdentity", json!({"externalId": "user_7"}));
    operator.ok("identities.setRoles", json!({"identity": "user_7", "roles": ["editor"]}));
    let key = world.key(&api, json!({"externalId": "user_7", "name": "laptop"}));
    let asks = json!({"key": key.plaintext, "permissions": "documents.write"});
    let verdict = |client: &Client| client.ok("keys.verifyKey", asks.clone())["code"].as_str().unwrap().to_owned();
    let elsewhere = at(&there, &service);
    assert_eq!([verdict(&service), verdict(&elsewhere)], ["VALID", "VALID"]);

    // Somebody edits the role. The owner's key is denied, on the other server.
    let before = now_ms(&here);
    ops.ok("permissions.setRolePermissions", json!({"role": "editor", "permissions": ["documents.read"]}));
    let after = now_ms(&here);
    soon("INSUFFICIENT_PERMISSIONS".to_owned(), || verdict(&elsewhere));
    let denied = elsewhere.call("keys.verifyKey", asks.clone());
    assert_eq!(denied.data()["code"], json!("INSUFFICIENT_PERMISSIONS"));
    let old = request_id(&denied);

    // The owner complains with the id of the request. That is all that the operator needs.
    let record = explained(operator, old);
    assert_eq!(record["requestId"], json!(old));
    assert_eq!((&record["operation"], &record["step"]), (&json!("keys.verifyKey"), &json!("permissions")));
    assert_eq!((&record["credential"]["type"], &record["credential"]["id"]), (&json!("key"), &json!(key.id)));
    assert_eq!(record["caller"]["id"], json!(service_id));
    assert_eq!(record["principal"]["workspaceId"], json!(world.workspace));
    assert_eq!(record["principal"]["owner"]["externalId"], json!("user_7"));
    assert_eq!(record["required"]["query"], json!("documents.write"));
    assert_eq!((&record["held"], &record["missing"]), (&json!([]), &json!(["documents.write"])));
    let taken = &record["before"][0];
    assert!(taken["text"].as_str().unwrap().contains("role `editor` lost `documents.write`"), "{taken}");
    assert_eq!(taken["actor"]["id"], json!(ops_id));
    assert!((before..=after).contains(&taken["time"].as_i64().unwrap()), "{taken}");
    assert_eq!(record["now"]["allowed"], json!(false));

    let explain = || keyward("explain").arg(old).database(&database).run().ok().stdout;
    let told = explain();
    let who = format!("root key {service_id}");
    let what = format!("key {} `laptop`", key.id);
    let by = format!("({ops_id})");
    tells(&told, &["DENIED  keys.verifyKey  INSUFFICIENT_PERMISSIONS", "asked by", &who, "credential", &what]);
    tells(
        &told,
        &["principal", "owner `user_7`", "required", "documents.write", "held", "nothing of it, by any route"],
    );
    tells(&told, &["missing", "documents.write", "before", "role `editor` lost `documents.write`", &by]);
    tells(&told, &["now", "would be refused", "to do", "documents.write"]);
    assert!(!told.contains(&key.plaintext) && !told.contains(service.root_key()), "{told}");
    let machine = keyward("explain --json").arg(old).database(&database).run().json();
    for field in ["requestId", "credential", "principal", "caller", "required", "held", "missing", "change", "before"] {
        assert_eq!(machine[field], explained(operator, old)[field], "{field}");
    }

    // What would help is tried without doing it.
    let suppose = json!({"keyId": key.id, "permissions": "documents.write", "if": {"grant": ["documents.write"]}});
    assert_eq!(operator.ok("decisions.simulate", suppose)["allowed"], json!(true));
    let simulate = || keyward("simulate --permissions documents.write --key").arg(&key.id).database(&database);
    tells(&simulate().run().exits(3).stdout, &["DENIED  keys.verifyKey", "missing", "documents.write", "to do"]);
    let granted = simulate().arg("--if-grant").arg("documents.write").run().ok().stdout;
    tells(&granted, &["ALLOWED  keys.verifyKey", "it holds documents.write", "documents.write (directly)"]);
    assert_eq!(verdict(&service), "INSUFFICIENT_PERMISSIONS", "nothing was granted by that");

    // It is done. The same request passes, on both servers.
    let before = now_ms(&here);
    operator.ok(
        "permissions.setRolePermissions",
        json!({"role": "editor", "permissions": ["documents.read", "documents.write"]}),
    );
    let after = now_ms(&here);
    assert_eq!(verdict(&service), "VALID");
    soon("VALID".to_owned(), || verdict(&elsewhere));

    // Whoever asks about the old request learns since when it would pass, and why.
    for reader in [operator, &at(&there, operator)] {
        let now = explained(reader, old)["now"].clone();
        assert_eq!((&now["allowed"], &now["code"]), (&json!(true), &json!("VALID")), "{now}");
        assert!((before..=after).contains(&now["since"].as_i64().unwrap()), "{now}");
        assert!(now["because"][0]["text"].as_str().unwrap().contains("role `editor` got `documents.write`"), "{now}");
    }
    let told = explain();
    tells(&told, &["DENIED", "before", "lost `documents.write`", "now", "would pass since", "got `documents.write`"]);
    assert!(!told.contains("to do"), "{told}");
    tells(&simulate().run().ok().stdout, &["ALLOWED", "documents.write (by the role `editor` of its owner)"]);
}

#[test]
fn a_request_with_a_second_credential_is_judged_by_exactly_one_and_the_record_names_both() {
    let world = World::new();
    let (id, readonly) = world.root_key_until(&["api.*.read_api"], None);
    let mighty = world.admin.root_key();
    let create = json!({"name": "mine"});
    // As a browser does that was logged in before: the cookie holds a root key that may do everything.
    let answer = readonly
        .clone()
        .header("cookie", &format!("session=1; root_key={mighty}"))
        .call("apis.createApi", create.clone());
    answer.refused(403, "unkey/authorization/insufficient_permissions");
    let record = explained(&world.admin, answer.body["error"]["decision"].as_str().unwrap());
    assert_eq!((&record["credential"]["type"], &record["credential"]["id"]), (&json!("rootKey"), &json!(id)));
    assert_eq!(record["ignored"], json!(["cookie"]));
    assert_eq!(record["missing"], json!(["api.*.create_api"]));
    let told = keyward("explain").arg(request_id(&answer)).database(&world.server.database).run();
    let told = told.ok().stdout;
    tells(
        &told,
        &["DENIED  apis.createApi", "credential", id.as_str(), "required", "api.*.create_api", "ignored", "cookie"],
    );
    assert!(!told.contains(mighty), "{told}");

    // The other way round it does not help either: the cookie cannot take anything away.
    world.admin.clone().header("cookie", "session=1").ok("apis.createApi", create.clone());
    // A cookie alone is no credential at all, and of two credentials none is chosen.
    let cookie =
        world.anonymous().header("cookie", &format!("root_key={mighty}")).call("apis.createApi", create.clone());
    cookie.refused(401, "unkey/authentication/missing");
    let two = readonly.header("authorization", &format!("Bearer {mighty}")).call("apis.createApi", create);
    two.refused(400, "unkey/authentication/malformed");
}

#[test]
fn what_there_is_no_record_of_is_not_found_and_a_terminal_obeys_no_name() {
    let database = postgres::fresh_database();
    let said = keyward("explain req_nothing").database(&database).run().fails(4);
    assert!(said.starts_with("keyward: There is no record"), "{said}");
    let server = Options::default().database(&database).start();
    let world = World::on(&server);
    let key = world.key(&world.api(), json!({"name": "\u{1b}[31mred", "enabled": false}));
    let denied = world.admin.call("keys.verifyKey", json!({"key": key.plaintext}));
    explained(&world.admin, request_id(&denied));
    let told = keyward("explain").arg(request_id(&denied)).env("NO_COLOR", "1").database(&database).run().ok().stdout;
    assert!(told.contains(r"\u{1b}[31mred") && !told.contains('\u{1b}'), "{told}");
    keyward("simulate --key key_nothing").database(&database).run().fails(4);
    keyward("simulate").database(&database).run().fails(2);
    let said = keyward("simulate --root-key root_1 --operation keys.create").database(&database).run().fails(2);
    assert!(said.contains("did you mean keys.createKey?"), "{said}");
}
