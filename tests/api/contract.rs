//! The contract and the code are the same: operations, permissions, codes.

use crate::harness::client::document;
use keyward::authz::action::Action;
use keyward::http::operations::OPERATIONS;
use keyward::model::code::Code;
use serde_json::Value;
use std::collections::BTreeSet;

fn tuples(actions: &[Action]) -> Vec<Value> {
    actions.iter().map(|action| Value::from(action.on("*"))).collect()
}

#[test]
fn operations_and_paths_are_the_same_set() {
    let paths = document()["paths"].as_object().unwrap();
    let documented: BTreeSet<_> =
        paths.iter().filter(|(_, item)| !item["post"].is_null()).map(|(path, _)| path.clone()).collect();
    let served: BTreeSet<_> = OPERATIONS.iter().map(|operation| format!("/v2/{}", operation.name)).collect();
    assert_eq!(documented, served);
}

#[test]
fn the_documented_permissions_are_those_of_the_table() {
    for operation in OPERATIONS {
        let item = &document()["paths"][format!("/v2/{}", operation.name)]["post"];
        assert_eq!(item["operationId"], operation.name);
        assert_eq!(item["x-permissions"]["needs"], Value::from(tuples(operation.needs)), "{}", operation.name);
        assert_eq!(item["x-permissions"]["also"], Value::from(tuples(operation.also)), "{}", operation.name);
    }
}

#[test]
fn every_documented_error_code_is_in_the_table_and_the_other_way_round() {
    let mut documented = BTreeSet::new();
    for response in document()["components"]["responses"].as_object().unwrap().values() {
        let codes = response["x-error-codes"].as_array().into_iter().flatten();
        documented.extend(codes.map(|code| code.as_str().unwrap().to_owned()));
    }
    let known: BTreeSet<_> = Code::ALL.iter().map(|code| code.row().path.to_owned()).collect();
    assert_eq!(documented.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "not in the table");
    // Only the command line answers this one.
    let silent = BTreeSet::from([Code::WorkspaceNotFound.row().path.to_owned()]);
    let missing: Vec<_> = known.difference(&documented).filter(|code| !silent.contains(*code)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "not in the document");
}

#[test]
fn the_table_of_operations_reads_as_it_did() {
    let rows: Vec<_> = OPERATIONS
        .iter()
        .map(|operation| {
            let names = |actions: &[Action]| actions.iter().map(|action| action.on("*")).collect::<Vec<_>>().join(", ");
            let also = if operation.also.is_empty() { String::new() } else { format!(" + {}", names(operation.also)) };
            format!("{:<30} {}{also}", operation.name, names(operation.needs)).trim_end().to_owned()
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn the_table_of_codes_reads_as_it_did() {
    let rows: Vec<_> = Code::ALL
        .iter()
        .map(|code| {
            let row = code.row();
            format!("{} {:<60} {}", row.status, row.path, row.title)
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
}
