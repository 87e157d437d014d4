//! Async commands and panics.

use serde_json::{Value, json};

use super::{Body, Case};

pub(super) fn cases() -> Vec<Case> {
    let case = |rows, about, command, body: Value| {
        Case::new("runs", rows, about, command, Body::Json(body))
    };
    vec![
        case(&[30], "async", "async_add", json!({ "firstNumber": 1, "b": 2 })),
        case(&[26], "async, argument missing", "async_add", json!({ "b": 2 })),
        case(
            &[26],
            "async, argument of the wrong type",
            "async_add",
            json!({ "firstNumber": "1", "b": 2 }),
        ),
        case(&[29], "async, both wrong", "async_add", json!({ "b": "y", "firstNumber": "x" })),
        case(&[24], "async, borrowed text", "async_greet", json!({ "name": "Ada" })),
        case(&[31], "async, failing", "async_fail", json!({})),
        case(&[28], "async, state", "async_managed", json!({})),
        case(&[32], "async, a result that cannot be written", "async_unwritable", json!({})),
        case(&[30], "async, bytes", "async_raw", json!({})),
        case(&[33], "a panic", "panics", json!({})),
        case(&[33], "a panic that depends on an argument", "panics_later", json!({ "value": 1 })),
        case(&[33], "a panic in an async command", "panics_async", json!({})),
        case(&[33], "a call after the panics", "panics_later", json!({ "value": 0 })),
    ]
}
