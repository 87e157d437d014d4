//! Channels as arguments that name none. What is sent on a channel is compared in
//! `oracle/src/channels.rs`.

use serde_json::{Value, json};

use super::{Body, Case};

pub(super) fn cases() -> Vec<Case> {
    let count = |about: &str, channel: Value| {
        let body = json!({ "upTo": 0, "onNumber": channel });
        Case::new("channels", &[25, 42], about, "count", Body::Json(body))
    };
    let other = |rows, about, command, body: Value| {
        Case::new("channels", rows, about, command, Body::Json(body))
    };
    let mut cases = vec![
        other(&[26, 42], "missing", "count", json!({ "upTo": 0 })),
        other(&[26, 42], "missing, async", "count_async", json!({ "upTo": 0 })),
        other(&[29, 42], "all missing", "count", json!({})),
        other(&[29, 42], "wrong behind another wrong one", "count", json!({ "onNumber": 1 })),
        other(
            &[29, 42],
            "wrong before another wrong one",
            "stream_to_two",
            json!({ "first": "a", "second": 1 }),
        ),
        count("null", Value::Null),
        count("a number", json!(1)),
        count("an object", json!({ "id": 1 })),
        count("an array", json!(["__CHANNEL__:1"])),
    ];
    let texts = [
        "",
        "1",
        "channel",
        "__CHANNEL__",
        "__CHANNEL__:",
        "__CHANNEL__:x",
        "__CHANNEL__:-1",
        "__CHANNEL__:1.0",
        "__CHANNEL__: 1",
        "__CHANNEL__:1 ",
        "__channel__:1",
        "__CHANNEL__:4294967296",
        "__CHANNEL__:+1",
        "__CHANNEL__:1",
    ];
    cases.extend(texts.map(|text| count(&format!("{text:?}"), json!(text))));
    cases.push(Case::new("channels", &[26, 42], "raw body", "count", Body::Raw(vec![1])));
    cases
}
