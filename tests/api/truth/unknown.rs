//! Whoever has no right to know is told the same, byte for byte, of what there is and of what there is not.

use crate::harness::Answer;
use crate::harness::Client;
use crate::harness::World;
use crate::truth::for_each_seed;
use crate::truth::random::Random;
use serde_json::Value;
use serde_json::json;

/// An answer without what differs between any two requests.
fn bytes(answer: &Answer) -> String {
    let id = answer.body["meta"]["requestId"].as_str().unwrap();
    answer.text.replace(id, "")
}

/// An id of the same form that was never issued.
fn never_issued(random: &mut Random, id: &str) -> String {
    let (kind, digits) = id.split_once('_').unwrap();
    let digits: String =
        digits.chars().map(|_| char::from(*random.pick(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZ"))).collect();
    format!("{kind}_{digits}")
}

#[test]
fn what_may_not_be_known_reads_like_what_there_is_not() {
    for_each_seed(&[], |mut random| {
        let (world, other) = (World::new(), World::new());
        let api = world.api();
        let key = world.key(&api, json!({"externalId": "acme"}));
        let (root_key, denied) = world.root_key_until::<&str>(&[], None);
        let refused = |client: &Client, operation: &str, body: Value| {
            let answer = client.call(operation, body);
            answer.body["meta"]["requestId"].as_str().unwrap().to_owned()
        };
        let of_call = refused(&denied, "apis.listApis", json!({}));
        let of_key = refused(&world.admin, "keys.verifyKey", json!({"key": key.plaintext, "permissions": "docs.read"}));
        // Both are records that who may read them reads.
        for id in [&of_call, &of_key] {
            world.admin.ok("decisions.explain", json!({"requestId": id}));
        }
        let everything_else: Vec<_> = keyward::authz::action::Action::ALL
            .iter()
            .filter(|action| **action != keyward::authz::action::Action::ReadDecision)
            .map(|action| action.on("*"))
            .collect();
        let (nobody, powerful) = (world.root_key::<&str>(&[]), world.root_key(&everything_else));
        for reader in [&nobody, &powerful, &other.admin] {
            for id in [&of_call, &of_key] {
                let hidden = reader.call("decisions.explain", json!({"requestId": id}));
                let unknown = reader.call("decisions.explain", json!({"requestId": never_issued(&mut random, id)}));
                assert_eq!(hidden.status, 404);
                assert_eq!(bytes(&hidden), bytes(&unknown));
            }
        }
        // A simulation of what is another workspace's is one of what there is not.
        for (field, id, more) in [
            ("keyId", key.id.as_str(), json!({"permissions": "docs.read"})),
            ("rootKeyId", root_key.as_str(), json!({"operation": "apis.createApi"})),
            ("externalId", "acme", json!({})),
        ] {
            let simulate = |client: &Client, id: &str| {
                let mut body = more.clone();
                body[field] = json!(id);
                client.call("decisions.simulate", body)
            };
            assert_eq!(simulate(&world.admin, id).status, 200);
            let unknown = if field == "externalId" { "nobody".to_owned() } else { never_issued(&mut random, id) };
            for stranger in [&other.admin, &nobody, &powerful] {
                let (hidden, unknown) = (simulate(stranger, id), simulate(stranger, &unknown));
                assert!(matches!(hidden.status, 403 | 404), "{}", hidden.text);
                assert_eq!(bytes(&hidden), bytes(&unknown));
            }
        }
        // A root key that covers another API only.
        let elsewhere = world.api();
        let narrow = world.root_key(&[format!("api.{elsewhere}.verify_key"), format!("api.{elsewhere}.update_key")]);
        let verify = |key: &str| narrow.call("keys.verifyKey", json!({"key": key}));
        assert_eq!(
            bytes(&verify(&key.plaintext)),
            bytes(&verify(&never_issued(&mut random, &format!("k_{}", key.plaintext))))
        );
        let update = |id: &str| narrow.call("keys.updateKey", json!({"keyId": id, "enabled": false}));
        assert_eq!(bytes(&update(&key.id)), bytes(&update(&never_issued(&mut random, &key.id))));
    });
}
