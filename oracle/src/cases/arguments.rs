//! Arguments that are there, missing, null or too many; bodies that hold none; state.

use serde_json::{Value, json};

use super::{Body, Case};

pub(super) fn cases() -> Vec<Case> {
    let case = |rows, about, command, body: Value| {
        Case::new("arguments", rows, about, command, Body::Json(body))
    };
    let raw = |rows, about, command, body: &[u8]| {
        Case::new("arguments", rows, about, command, Body::Raw(body.to_vec()))
    };
    let mut cases = vec![
        case(&[22], "none wanted, none given", "no_arguments", json!({})),
        case(&[22], "none wanted, null given", "no_arguments", Value::Null),
        case(&[22], "none wanted, some given", "no_arguments", json!({ "a": 1 })),
        case(&[22], "two", "two", json!({ "a": 1, "b": 2 })),
        case(&[22], "in another order", "two", json!({ "b": 2, "a": 1 })),
        case(&[22], "extra keys are ignored", "two", json!({ "a": 1, "b": 2, "c": { "d": [3] } })),
        case(&[22], "a key within another is none", "two", json!({ "args": { "a": 1, "b": 2 } })),
        case(&[26], "the body is null", "two", Value::Null),
        case(&[26], "the body is an empty object", "two", json!({})),
        case(&[22, 26], "the body is a number", "two", json!(1)),
        case(&[22, 26], "the body is a negative number", "two", json!(-1)),
        case(&[22, 26], "the body is a fraction", "two", json!(1.5)),
        case(&[22, 26], "the body is a text", "two", json!("a")),
        case(&[22, 26], "the body is true", "two", json!(true)),
        case(&[22, 26], "the body is an array", "two", json!([1, 2])),
        case(&[22, 26], "the body is an empty array", "two", json!([])),
        case(&[22], "no arguments wanted, the body is a number", "no_arguments", json!(1)),
        case(&[22, 23], "an optional one, the body is a text", "take_option", json!("a")),
        case(&[26], "the first is missing", "two", json!({ "b": 2 })),
        case(&[26], "the last is missing", "two", json!({ "a": 1 })),
        case(&[26], "null where a number is wanted", "two", json!({ "a": 1, "b": null })),
        case(&[29], "both are wrong: the first is reported", "two", json!({ "b": "y", "a": "x" })),
        case(&[29], "the first missing, the last wrong", "two", json!({ "b": "y" })),
        case(&[29], "the first wrong, the last missing", "two", json!({ "a": "x" })),
        case(
            &[29],
            "the second of three wrong, the third missing",
            "three",
            json!({ "a": 1, "b": { "name": "Ada" } }),
        ),
        case(
            &[29],
            "the third of three wrong, sent first",
            "three",
            json!({ "c": 1, "b": { "name": 1, "age": 1 }, "a": 1 }),
        ),
        case(&[23], "an option that is missing", "take_option", json!({})),
        case(&[23], "an option that is null", "take_option", json!({ "value": null })),
        case(&[23], "an option that is there", "take_option", json!({ "value": 7 })),
        case(&[23], "an option of the wrong type", "take_option", json!({ "value": "7" })),
        case(&[23], "an option, the body is null", "take_option", Value::Null),
        case(&[23], "an option in the middle", "optional_between", json!({ "a": 1, "c": 3 })),
        case(&[23], "options in each other: missing", "take_nested_option", json!({})),
        case(&[23], "options in each other: null", "take_nested_option", json!({ "value": null })),
        case(&[23], "options in each other: there", "take_nested_option", json!({ "value": 1 })),
        case(
            &[23, 24],
            "an optional borrowed text",
            "take_option_str",
            json!({ "value": "größe" }),
        ),
        case(&[23, 24], "an optional borrowed text: missing", "take_option_str", json!({})),
        case(&[23], "an optional struct: missing", "take_option_user", json!({})),
        case(&[26], "a value of any kind: missing", "take_value", json!({})),
        case(&[26], "a unit: missing", "take_unit", json!({})),
        case(&[26], "a unit: null", "take_unit", json!({ "value": null })),
        case(&[26], "a newtype: missing", "take_meters", json!({})),
        case(&[26], "a struct: missing", "take_user", json!({})),
        case(&[26], "an enum: missing", "take_external", json!({})),
        case(&[26], "a list: missing", "take_vec", json!({})),
        case(&[26], "a map: missing", "take_map", json!({})),
        case(&[24], "a borrowed text", "greet", json!({ "name": "Ada" })),
        case(
            &[24],
            "a borrowed text with escapes",
            "take_str",
            json!({ "value": "a\"b\\c\n\u{1}ß" }),
        ),
        case(&[24], "an empty text", "take_str", json!({ "value": "" })),
        case(&[24], "a borrowed text is a number", "greet", json!({ "name": 1 })),
        case(
            &[24],
            "borrowed bytes, given as an array",
            "take_bytes",
            json!({ "value": [0, 255] }),
        ),
        case(&[24], "borrowed bytes, given as a text", "take_bytes", json!({ "value": "ß" })),
        case(&[24], "borrowed bytes, given as an object", "take_bytes", json!({ "value": {} })),
        case(&[24], "borrowed bytes: missing", "take_bytes", json!({})),
        case(&[28], "state that is managed", "managed", json!({})),
        case(&[28], "state between arguments", "managed_between", json!({ "a": 1, "b": 2 })),
        case(&[28], "state is not taken from the body", "managed", json!({ "state": 7 })),
        case(&[27], "state that is not managed", "unmanaged", json!({})),
        case(
            &[27, 29],
            "state not managed comes first",
            "unmanaged_then_value",
            json!({ "value": "x" }),
        ),
        case(
            &[27, 29],
            "state not managed comes last",
            "value_then_unmanaged",
            json!({ "value": "x" }),
        ),
        case(&[27, 29], "state not managed, argument missing", "value_then_unmanaged", json!({})),
    ];
    cases.extend([
        raw(&[28], "a raw body", "raw_sum", &[1, 2, 255]),
        raw(&[28], "an empty raw body", "raw_sum", &[]),
        raw(&[22], "none wanted, raw body", "no_arguments", &[1]),
        raw(&[26], "an argument wanted, raw body", "take_u8", &[1]),
        raw(&[26], "an argument wanted, raw body that is JSON", "take_u8", b"{\"value\":1}"),
        raw(&[26], "a borrowed text wanted, raw body", "greet", b"you"),
        raw(&[23], "an option wanted, raw body", "take_option", &[1]),
        raw(&[23, 29], "an option first, raw body", "raw_and_name", &[1]),
        raw(&[20, 26], "a renamed command, raw body", "second_name", &[1]),
        raw(&[27], "state not managed, raw body", "unmanaged", &[1]),
        raw(&[28], "state managed, raw body", "managed", &[1]),
    ]);
    cases
}
