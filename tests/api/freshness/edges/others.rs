//! What concerns all keys of an API, a root key or a workspace, and what another process changes.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_changed_api_root_key_workspace_or_override_is_changed_on_every_node() {
    use Asks::*;
    fn enable(scene: &Scene<'_>, enabled: bool) {
        let name = scene.world.name.as_str();
        assert!(operate(scene.world.server, |tx| workspaces::set_enabled(tx, name, enabled)).1);
    }
    follow_all(
        "around the key",
        &[
            edge(
                "the API's allow list",
                Plain,
                "VALID",
                |scene| scene.api("apis.updateApi", json!({"ipWhitelist": ["203.0.113.7"]})),
                "FORBIDDEN",
                Some(|scene| scene.api("apis.updateApi", json!({"ipWhitelist": []}))),
            ),
            edge("the API deleted", Plain, "VALID", |scene| scene.api("apis.deleteApi", json!({})), "NOT_FOUND", None),
            edge(
                "the root key disabled",
                Plain,
                "VALID",
                |scene| scene.root("rootKeys.updateKey", json!({"enabled": false})),
                "403",
                Some(|scene| scene.root("rootKeys.updateKey", json!({"enabled": true}))),
            ),
            edge(
                "the root key's permissions",
                Plain,
                "VALID",
                |scene| scene.root("rootKeys.updateKey", json!({"permissions": ["api.*.read_api"]})),
                "403",
                Some(|scene| scene.root("rootKeys.updateKey", json!({"permissions": ["api.*.verify_key"]}))),
            ),
            edge(
                "the root key deleted",
                Plain,
                "VALID",
                |scene| scene.root("rootKeys.deleteKey", json!({})),
                "401",
                None,
            ),
            edge(
                "the root key rerolled",
                Plain,
                "VALID",
                |scene| scene.root("rootKeys.rerollKey", json!({"expiration": 0})),
                "403",
                None,
            ),
            edge(
                "the workspace disabled",
                Plain,
                "VALID",
                |scene| enable(scene, false),
                "403",
                Some(|scene| enable(scene, true)),
            ),
            edge(
                "an override",
                Override,
                "100",
                |scene| {
                    let body = json!({"namespace": "mail", "identifier": "one", "limit": 3, "duration": 60_000});
                    scene.admin("ratelimit.setOverride", body, &[]);
                },
                "3",
                Some(|scene| {
                    scene.admin("ratelimit.deleteOverride", json!({"namespace": "mail", "identifier": "one"}), &[])
                }),
            ),
        ],
    );
}

#[test]
fn what_the_operator_does_by_the_command_line_is_known_on_every_node() {
    let database = postgres::fresh_database();
    let nodes = [trusting(&database, ""), trusting(&database, "")];
    let scene = Scene::on(&nodes[0]);
    let (id, verifier) = &scene.verifier;
    let clients = [verifier.clone(), at(&nodes[1], verifier)];
    let ask = |client: &Client| Asks::Plain.ask(client, &scene.key.plaintext);
    let mut lags = Vec::new();
    let name = scene.world.name.as_str();
    let commands: [(&[&str], &str); 3] = [
        (&["workspace", "disable", name], "403"),
        (&["workspace", "enable", name], "VALID"),
        (&["root-key", "revoke", id.as_str()], "401"),
    ];
    (0..3).flat_map(|_| &clients).for_each(|client| assert_eq!(ask(client), "VALID"));
    for (arguments, expected) in commands {
        arguments.iter().fold(keyward(""), |command, argument| command.arg(argument)).database(&database).run().ok();
        let done = Instant::now();
        for client in &clients {
            let lag = loop {
                let begun = Instant::now();
                if ask(client) == expected {
                    break begun - done;
                }
                assert!(begun - done < BOUND, "{arguments:?}: not {expected} within {BOUND:?}");
            };
            lags.push(lag);
        }
    }
    report("the command line, after the process has ended", lags);
}
