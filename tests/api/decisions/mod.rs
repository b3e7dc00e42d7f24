//! `decisions.*`.

mod change;
mod explain;
mod explain_now;
mod list_decisions;
mod records;
mod simulate;

use crate::harness::Answer;
use crate::harness::Client;
use serde_json::Value;
use serde_json::json;

/// The id that a denial is looked up by.
pub fn request_id(answer: &Answer) -> String {
    answer.body["meta"]["requestId"].as_str().unwrap().to_owned()
}

/// `data` of the explanation of a request, at once: the server that denied it writes it down for this.
pub fn explained(reader: &Client, request_id: &str) -> Value {
    reader.ok("decisions.explain", json!({"requestId": request_id}))
}

/// The explanation of a call that was denied.
pub fn of_denied(reader: &Client, denied: &Client, operation: &str, body: Value) -> Value {
    let answer = denied.call(operation, body);
    assert!(answer.status >= 400, "{operation} was not denied: {}", answer.text);
    explained(reader, &request_id(&answer))
}

/// The explanation of a verification that was not `VALID`.
pub fn of_verified(reader: &Client, verifier: &Client, body: Value) -> Value {
    let answer = verifier.call("keys.verifyKey", body);
    assert_eq!((answer.status, &answer.body["data"]["valid"]), (200, &json!(false)), "{}", answer.text);
    explained(reader, &request_id(&answer))
}
