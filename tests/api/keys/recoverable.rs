//! Recoverable keys: sealed, shown again to whoever may, and to nobody else.

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::Server;
use crate::harness::World;
use crate::harness::server::Options;
use keyward::model::master_key::MasterKeys;
use serde_json::Value;
use serde_json::json;
use std::collections::BTreeSet;

const PRECONDITION: &str = "unkey/application/precondition_failed";
const BROKEN: &str = "unkey/application/assertion_failed";

/// A new entry of a ring, and the id in it.
fn entry() -> (String, String) {
    let entry = MasterKeys::generate_entry().unwrap();
    let id = entry.split(':').next().unwrap().to_owned();
    (entry, id)
}

/// A server whose ring holds these entries.
fn server(entries: &[&str]) -> Server {
    let ring = if entries.is_empty() { MasterKeys::default() } else { MasterKeys::parse(&entries.join(",")).unwrap() };
    Options::default().master_keys(ring).start()
}

/// The admin of a world as a client of another server.
fn on(server: &Server, world: &World<'_>) -> Client {
    Client::new(server.url()).bearer(world.admin.root_key())
}

fn decrypt(client: &Client, id: &str) -> Answer {
    client.call("keys.getKey", json!({"keyId": id, "decrypt": true}))
}

fn decrypts(world: &World<'_>) -> usize {
    world.audit().iter().filter(|event| *event == "key.decrypt").count()
}

#[test]
fn a_recoverable_key_is_shown_again_and_only_when_asked_for() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    for fields in
        [json!({}), json!({"prefix": "sk_live", "byteLength": 255}), json!({"enabled": false}), json!({"expires": 1})]
    {
        let mut fields = fields;
        fields["recoverable"] = json!(true);
        let key = world.key(&api, fields);
        assert_eq!(decrypt(&world.admin, &key.id).data()["plaintext"], key.plaintext);
        for body in [json!({"keyId": key.id}), json!({"keyId": key.id, "decrypt": false})] {
            let answer = world.admin.call("keys.getKey", body);
            assert_eq!(answer.status, 200);
            assert!(!answer.text.contains("plaintext") && !answer.text.contains(&key.plaintext));
        }
    }
}

#[test]
fn a_key_that_was_not_made_recoverable_is_shown_without_its_plaintext() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    for fields in [json!({}), json!({"recoverable": false})] {
        let key = world.key(&api, fields);
        let answer = decrypt(&world.admin, &key.id);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.data(), &world.get_key(&key.id));
    }
    assert_eq!(decrypts(&world), 0, "nothing was shown");
    assert_eq!(world.rows("SELECT * FROM sealed_keys WHERE workspace_id = $ws"), [Value::Null; 0]);
}

#[test]
fn showing_a_plaintext_is_audited_and_reading_is_not() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let (root_key, client) = world.root_key_until(&["api.*.read_key", "api.*.decrypt_key"], None);
    client.ok("keys.getKey", json!({"keyId": key.id}));
    let answer = decrypt(&client, &key.id);
    let rows = world.rows(&format!(
        "SELECT event, actor_type, correlation_id, resources, display FROM audit_log \
         WHERE workspace_id = $ws AND actor_id = '{root_key}'"
    ));
    let expected = json!({
        "event": "key.decrypt",
        "actor_type": "rootkey",
        "correlation_id": answer.body["meta"]["requestId"],
        "resources": [{"type": "key", "id": key.id}],
        "display": format!("decrypted key {}", key.id),
    });
    assert_eq!(rows, [expected]);
    assert!(!world.everything()["audit_log"].to_string().contains(&key.plaintext));
}

#[test]
fn sealed_copies_have_a_nonce_each_and_do_not_hold_the_plaintext() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let made: Vec<_> = (0..32).map(|_| world.key(&api, json!({"recoverable": true, "prefix": "sk"}))).collect();
    let rows = world
        .rows("SELECT key_id, nonce::text, ciphertext::text FROM sealed_keys WHERE workspace_id = $ws ORDER BY key_id");
    let distinct = |field: &str| rows.iter().map(|row| row[field].to_string()).collect::<BTreeSet<_>>().len();
    assert_eq!((rows.len(), distinct("nonce"), distinct("ciphertext")), (32, 32, 32));
    for (row, key) in rows.iter().zip(&made) {
        assert_eq!(row["key_id"], key.id);
        let hex: String = key.plaintext.bytes().map(|byte| format!("{byte:02x}")).collect();
        let ciphertext = row["ciphertext"].as_str().unwrap();
        assert!(!ciphertext.contains(hex.split_at(8).0), "not even its beginning");
        assert_eq!(ciphertext.len(), 2 + hex.len() + 32, "text and tag");
    }
    let all = world.everything().to_string();
    assert!(made.iter().all(|key| !all.contains(&key.plaintext)));
}

#[test]
fn without_a_master_key_nothing_is_sealed_or_shown() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let without = server(&[]);
    let client = on(&without, &world);
    let before = world.everything();
    for (operation, body) in [
        ("keys.createKey", json!({"apiId": api, "recoverable": true})),
        ("keys.getKey", json!({"keyId": key.id, "decrypt": true})),
        ("apis.listKeys", json!({"apiId": api, "decrypt": true})),
    ] {
        let answer = client.call(operation, body);
        answer.refused(412, PRECONDITION);
        assert!(answer.detail().contains("KEYWARD_MASTER_KEY"), "{}", answer.detail());
    }
    assert_eq!(before, world.everything());
    client.ok("keys.getKey", json!({"keyId": key.id}));
    client.ok("apis.listKeys", json!({"apiId": api}));
    assert_eq!(client.ok("keys.verifyKey", json!({"key": key.plaintext}))["code"], "VALID");
    client.ok("keys.createKey", json!({"apiId": api}));
}

#[test]
fn without_opting_in_nothing_is_sealed_or_shown() {
    let world = World::new();
    let api = world.api();
    let key = world.key(&api, json!({}));
    let before = world.everything();
    for (operation, body) in [
        ("keys.createKey", json!({"apiId": api, "recoverable": true})),
        ("keys.getKey", json!({"keyId": key.id, "decrypt": true})),
        ("apis.listKeys", json!({"apiId": api, "decrypt": true})),
    ] {
        let answer = world.admin.call(operation, body);
        answer.refused(412, PRECONDITION);
        assert!(answer.detail().contains("apis.updateApi"), "{}", answer.detail());
    }
    assert_eq!(before, world.everything());
}

#[test]
fn opting_out_keeps_what_is_sealed_but_shows_it_no_more() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let opt = |recoverable: bool| world.admin.ok("apis.updateApi", json!({"apiId": api, "recoverable": recoverable}));
    opt(false);
    decrypt(&world.admin, &key.id).refused(412, PRECONDITION);
    world.admin.call("apis.listKeys", json!({"apiId": api, "decrypt": true})).refused(412, PRECONDITION);
    opt(true);
    assert_eq!(decrypt(&world.admin, &key.id).data()["plaintext"], key.plaintext);
}

#[test]
fn the_first_master_key_of_a_ring_seals_and_all_of_them_open() {
    let ((first, first_id), (second, second_id), (third, _)) = (entry(), entry(), entry());
    let old = server(&[&first]);
    let world = World::on(&old);
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let new = server(&[&second, &third, &first]);
    let client = on(&new, &world);
    let made = client.ok("keys.createKey", json!({"apiId": api, "recoverable": true}));
    let rows = world.rows("SELECT master_key_id FROM sealed_keys WHERE workspace_id = $ws ORDER BY key_id");
    assert_eq!(rows, [json!({"master_key_id": first_id}), json!({"master_key_id": second_id})]);
    let listed = client.ok("apis.listKeys", json!({"apiId": api, "decrypt": true}));
    assert_eq!(listed[0]["plaintext"], key.plaintext);
    assert_eq!(listed[1]["plaintext"], made["key"]);
}

#[test]
fn a_master_key_that_is_missing_is_named() {
    let ((first, id), (second, _)) = (entry(), entry());
    let old = server(&[&first]);
    let world = World::on(&old);
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let new = server(&[&second]);
    let client = on(&new, &world);
    for answer in [decrypt(&client, &key.id), client.call("apis.listKeys", json!({"apiId": api, "decrypt": true}))] {
        answer.refused(412, PRECONDITION);
        assert!(answer.detail().contains(&id), "{}", answer.detail());
    }
    assert_eq!(decrypts(&world), 0);
    client.ok("keys.getKey", json!({"keyId": key.id}));
}

#[test]
fn another_master_key_under_the_same_id_is_an_error_and_never_an_absence() {
    let ((first, id), (second, _)) = (entry(), entry());
    let impostor = format!("{id}:{}", second.split_once(':').unwrap().1);
    let old = server(&[&first]);
    let world = World::on(&old);
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    world.key(&api, json!({}));
    let new = server(&[&impostor]);
    let client = on(&new, &world);
    for answer in [decrypt(&client, &key.id), client.call("apis.listKeys", json!({"apiId": api, "decrypt": true}))] {
        answer.refused(500, BROKEN);
        assert!(!answer.text.contains(&key.plaintext));
    }
    assert_eq!(decrypts(&world), 0);
    assert_eq!(decrypt(&world.admin, &key.id).data()["plaintext"], key.plaintext);
}

#[test]
fn an_altered_copy_is_an_error_and_never_an_absence() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let key = world.key(&api, json!({"recoverable": true}));
    let stored = world.rows("SELECT nonce::text, ciphertext::text FROM sealed_keys WHERE workspace_id = $ws");
    let (nonce, ciphertext) = (stored[0]["nonce"].as_str().unwrap(), stored[0]["ciphertext"].as_str().unwrap());
    for change in [
        "ciphertext = set_byte(ciphertext, 0, get_byte(ciphertext, 0) # 1)",
        "ciphertext = set_byte(ciphertext, length(ciphertext) - 1, get_byte(ciphertext, length(ciphertext) - 1) # 128)",
        "ciphertext = substring(ciphertext FOR length(ciphertext) - 1)",
        "ciphertext = ciphertext || '\\x00'::bytea",
        "ciphertext = ''::bytea",
        "nonce = set_byte(nonce, 11, get_byte(nonce, 11) # 1)",
    ] {
        world.execute(&format!("UPDATE sealed_keys SET {change} WHERE workspace_id = $ws"));
        for answer in
            [decrypt(&world.admin, &key.id), world.admin.call("apis.listKeys", json!({"apiId": api, "decrypt": true}))]
        {
            answer.refused(500, BROKEN);
        }
        world.execute(&format!(
            "UPDATE sealed_keys SET nonce = '{nonce}', ciphertext = '{ciphertext}' WHERE workspace_id = $ws"
        ));
    }
    assert_eq!(decrypts(&world), 0);
    // The key itself is as good as ever.
    assert_eq!(world.verdict(&key.plaintext), "VALID");
    assert_eq!(decrypt(&world.admin, &key.id).data()["plaintext"], key.plaintext);
}

#[test]
fn a_copy_that_was_moved_to_another_key_does_not_open_there() {
    let (world, other) = (World::new(), World::new());
    let api = world.api_with(json!({"recoverable": true}));
    let [first, second] = [(); 2].map(|()| world.key(&api, json!({"recoverable": true})));
    let plain = world.key(&api, json!({}));
    let their_api = other.api_with(json!({"recoverable": true}));
    let foreign = other.key(&their_api, json!({}));
    let copy = |to: &str, workspace: &str| {
        world.execute(&format!(
            "INSERT INTO sealed_keys (key_id, workspace_id, master_key_id, nonce, ciphertext) \
             SELECT '{to}', '{workspace}', master_key_id, nonce, ciphertext FROM sealed_keys WHERE key_id = '{}'",
            first.id
        ));
    };
    copy(&plain.id, &world.workspace.to_string());
    copy(&foreign.id, &other.workspace.to_string());
    decrypt(&world.admin, &plain.id).refused(500, BROKEN);
    decrypt(&other.admin, &foreign.id).refused(500, BROKEN);
    assert_eq!(decrypt(&world.admin, &first.id).data()["plaintext"], first.plaintext);
    world.execute(
        "UPDATE sealed_keys a SET nonce = b.nonce, ciphertext = b.ciphertext FROM sealed_keys b \
         WHERE a.workspace_id = $ws AND b.workspace_id = $ws AND a.key_id <> b.key_id AND a.nonce <> b.nonce",
    );
    let answer = decrypt(&world.admin, &second.id);
    answer.refused(500, BROKEN);
    assert!(!answer.text.contains(&first.plaintext));
}

#[test]
fn one_broken_copy_hides_no_other_key_from_get_key() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let [broken, whole] = [(); 2].map(|()| world.key(&api, json!({"recoverable": true})));
    world.execute(&format!("UPDATE sealed_keys SET ciphertext = ''::bytea WHERE key_id = '{}'", broken.id));
    world.admin.call("apis.listKeys", json!({"apiId": api, "decrypt": true})).refused(500, BROKEN);
    let next = json!({"apiId": api, "decrypt": true, "cursor": whole.id});
    assert_eq!(world.admin.ok("apis.listKeys", next)[0]["plaintext"], whole.plaintext);
    assert_eq!(decrypt(&world.admin, &whole.id).data()["plaintext"], whole.plaintext);
    assert_eq!(world.admin.ok("apis.listKeys", json!({"apiId": api})).as_array().unwrap().len(), 2);
}

#[test]
fn sealing_and_showing_need_permissions_of_their_own() {
    let world = World::new();
    let api = world.api_with(json!({"recoverable": true}));
    let creator = world.root_key(&["api.*.create_key".to_owned(), format!("api.{api}.encrypt_key")]);
    let made = creator.ok("keys.createKey", json!({"apiId": api, "recoverable": true}));
    let id = made["keyId"].as_str().unwrap();
    decrypt(&creator, id).refused(403, "unkey/authorization/insufficient_permissions");
    let reader = world.root_key(&[format!("api.{api}.read_key"), "api.*.decrypt_key".to_owned()]);
    assert_eq!(decrypt(&reader, id).data()["plaintext"], made["key"]);
    // To decrypt elsewhere is not to decrypt here: it may be read, so it is no secret that it exists.
    let elsewhere = world.root_key(&["api.*.read_key", "api.api_elsewhere.decrypt_key"]);
    decrypt(&elsewhere, id).refused(403, "unkey/authorization/insufficient_permissions");
}
