//! JSON-RPC 2.0, as a client sees it: the commands of the other suites, over a socket.
#![cfg(target_os = "linux")]

mod batches;
mod cancel;
mod channels;
mod ends;
mod errors;
mod events;
mod framing;
mod garbage;
mod integers;
mod limits;
mod matrix;
mod notifications;
mod places;
mod requests;
mod spec;
mod traffic;

use serde_json::Value;

/// The number and the fixed code of an error answer.
fn error_of(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    let number = error["code"].as_i64().unwrap_or_else(|| panic!("no error: {answer}"));
    (number, error["data"]["code"].as_str().expect("every error has its fixed code"))
}
