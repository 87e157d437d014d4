//! Calls by somebody who may only call `greet`.

use serde_json::{Value, json};

use super::{Body, Case, Gate};

pub(super) fn cases() -> Vec<Case> {
    let case = |rows, about, command, body| Case {
        gate: Gate::Greet,
        ..Case::new("refusals", rows, about, command, body)
    };
    let named = |rows, about, command, body: Value| case(rows, about, command, Body::Json(body));
    vec![
        named(&[69], "what is allowed", "greet", json!({ "name": "Ada" })),
        named(&[25, 69], "what is allowed, with a wrong argument", "greet", json!({ "name": 1 })),
        named(&[73], "a command that is there", "take_u8", json!({ "value": 1 })),
        named(&[13, 73], "a command that is not there", "missing", json!({})),
        named(&[13, 73], "a command without a name", "", json!({})),
        named(&[11, 16], "arguments are not looked at", "take_u8", json!({ "value": "x" })),
        case(&[11, 16], "a raw body is not looked at", "take_u8", Body::Raw(vec![0xc1])),
        named(&[73], "a name is matched exactly", "GREET", json!({ "name": "Ada" })),
        named(&[73], "a name is matched whole", "greet ", json!({ "name": "Ada" })),
        named(&[73], "an odd name", "a \"b\" \n c", json!({})),
        named(&[13], "a plugin's command", "plugin:fs|read", json!({})),
        named(&[13], "a plugin's command without a bar", "plugin:fs", json!({})),
        named(&[13], "a command named like a plugin's", "plugin:greet|greet", json!({})),
        named(&[74], "what is allowed, after the refusals", "greet", json!({ "name": "you" })),
    ]
}
