//! `keyward audit`.

use crate::harness::World;
use crate::harness::keyward;
use crate::harness::postgres;
use crate::harness::process;
use crate::harness::process::Ran;
use crate::harness::server::Options;
use serde_json::Value;
use serde_json::json;

fn run(url: &str, arguments: &str) -> Ran {
    keyward(arguments).database(url).run()
}

#[test]
fn an_anchor_is_taken_and_what_is_cut_off_after_it_is_named() {
    let server = Options::default().database(postgres::fresh_database()).start();
    let (world, other) = (World::on(&server), World::on(&server));
    world.api();
    for world in [&world, &other] {
        crate::audit_logs::sealed(world);
    }
    let url = &server.database;
    let taken = run(url, "audit anchor");
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let lines: Vec<Value> = taken.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["workspace"], &lines[0]["sequence"]), (&json!(world.workspace), &json!(3)));
    assert!(lines[0]["hash"].as_str().unwrap().len() == 64 && lines[0]["time"].is_i64());
    let one = run(url, &format!("audit anchor --workspace {}", other.workspace));
    assert_eq!(one.stdout.lines().count(), 1);

    let folder = process::folder();
    let file = folder.path().join("anchors");
    std::fs::write(&file, format!("{}\n{}", taken.stdout, one.stdout)).unwrap();
    let verify = format!("audit verify --anchor {}", file.display());
    let intact = run(url, &verify);
    assert_eq!(intact.code, Some(0), "{}", intact.stderr);
    assert!(
        intact.stdout.contains(&format!("Workspace {}: intact, 3 rows; 1 anchors hold", world.name)),
        "{}",
        intact.stdout
    );
    let answer: Value = run(url, &format!("{verify} --json")).stdout.parse().unwrap();
    assert_eq!((&answer["intact"], &answer["workspaces"][1]["anchors"]), (&json!(true), &json!(2)));

    world.execute("DELETE FROM audit_log WHERE workspace_id = $ws AND sequence = 3");
    world.execute(
        "UPDATE audit_heads SET (sequence, hash) = (SELECT sequence, hash FROM audit_log WHERE workspace_id = $ws \
         AND sequence = 2) WHERE workspace_id = $ws",
    );
    assert_eq!(run(url, "audit verify").code, Some(0), "without an anchor a shorter log is a log");
    let broken = run(url, &verify);
    assert_eq!(broken.code, Some(1));
    assert!(broken.stderr.contains(&world.name) && broken.stderr.contains("broken at row 3"), "{}", broken.stderr);
    let broken = run(url, &format!("{verify} --json"));
    let answer: Value = broken.stdout.parse().unwrap();
    assert_eq!((broken.code, &answer["intact"]), (Some(1), &json!(false)));
    assert_eq!(answer["workspaces"][0]["broken"]["sequence"], 3);
    let error: Value = broken.stderr.parse().unwrap();
    assert_eq!(error["error"]["kind"], "failure");
    assert_eq!(run(url, &format!("{verify} --workspace {}", other.workspace)).code, Some(0));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let url = postgres::fresh_database();
    let folder = process::folder();
    let file = folder.path().join("anchors");
    let verify = format!("audit verify --anchor {}", file.display());
    assert_eq!(run(&url, &verify).code, Some(2), "no such file");
    for (text, said) in [
        ("", "no anchor"),
        ("\n{}\n", "line 2"),
        ("{\"workspace\":\"w\",\"sequence\":1,\"hash\":\"x\",\"time\":1}", "64"),
    ] {
        std::fs::write(&file, text).unwrap();
        let ran = run(&url, &verify);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let of_nobody = json!({"workspace": "ws_1", "sequence": 1, "hash": "0".repeat(64), "time": 1});
    std::fs::write(&file, of_nobody.to_string()).unwrap();
    let ran = run(&url, &verify);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("ws_1 is gone"), "{}", ran.stderr);
    assert_eq!(run(&url, "audit verify --workspace nobody").code, Some(4));
    assert_eq!(run(&url, "audit anchor").stdout, "");
}
