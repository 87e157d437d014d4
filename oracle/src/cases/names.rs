//! Names: of commands, and of arguments on the wire.

use serde_json::{Value, json};

use super::{Body, Case};

pub(super) fn cases() -> Vec<Case> {
    let case = |rows, about, command, body: Value| {
        Case::new("names", rows, about, command, Body::Json(body))
    };
    let refused = |rows, about, command, body: Value, why| Case {
        not_compiled: Some(why),
        ..case(rows, about, command, body)
    };
    vec![
        case(&[12], "a command that is not there", "missing", json!({})),
        case(&[12], "a command without a name", "", json!({})),
        case(&[12], "a command's name is matched exactly", "Greet", json!({ "name": "you" })),
        case(&[12], "a command of a plugin that is not there", "plugin:missing|scan", json!({})),
        case(&[12], "a command that a plugin has not", "plugin:files|missing", json!({})),
        case(&[12], "a plugin that is not there, without a bar", "plugin:missing", json!({})),
        case(&[12], "a plugin's command", "plugin:files|scan", json!({ "maxDepth": 1 })),
        case(
            &[12],
            "a plugin's command with a second bar",
            "plugin:files|scan|deep",
            json!({ "maxDepth": 1 }),
        ),
        case(&[12, 25], "a plugin's command, argument missing", "plugin:files|scan", json!({})),
        case(
            &[12, 25],
            "a plugin's command, argument wrong",
            "plugin:files|scan",
            json!({ "maxDepth": "x" }),
        ),
        case(&[12, 27], "a plugin's command, state not managed", "plugin:files|forget", json!({})),
        case(
            &[19],
            "a parameter of two words is camelCase",
            "user_name",
            json!({ "userName": "Ada" }),
        ),
        case(
            &[19],
            "its own name is not the argument's",
            "user_name",
            json!({ "user_name": "Ada" }),
        ),
        case(
            &[19],
            "rename_all keeps snake_case",
            "keeps_snake_case",
            json!({ "user_name": "Ada" }),
        ),
        case(&[19], "camelCase is then missing", "keeps_snake_case", json!({ "userName": "Ada" })),
        case(&[19], "a leading underscore is left out", "hidden", json!({ "userName": "Ada" })),
        case(&[19], "a raw identifier is the word itself", "keyword", json!({ "type": "Ada" })),
        case(&[19], "digits", "numbered", json!({ "arg1": 1, "arg2X": 2 })),
        case(&[19], "digits, otherwise", "numbered", json!({ "arg_1": 1, "arg2_x": 2 })),
        case(&[19], "acronyms", "acronym", json!({ "htmlUrl": "u", "userId": 1 })),
        case(&[19], "words of one letter", "one_letter", json!({ "aBC": 1 })),
        case(&[20], "a renamed command", "second_name", json!({ "value": 1 })),
        case(&[20], "its function's name is not there", "first_name", json!({ "value": 1 })),
        case(&[20], "a new name with a space", "third name", json!({ "value": 1 })),
        case(&[20, 25], "a renamed command in an error", "second_name", json!({})),
        case(
            &[20, 25],
            "a renamed command in a type error",
            "second_name",
            json!({ "value": "x" }),
        ),
        case(&[20, 25], "a renamed command, the body is null", "third name", Value::Null),
        case(
            &[20, 27],
            "a renamed command, state not managed",
            "files.scan",
            json!({ "max_depth": 1 }),
        ),
        refused(
            &[21],
            "a parameter without a name",
            "wild",
            json!({ "": 1 }),
            "a command's parameter needs a name",
        ),
        case(
            &[19],
            "a parameter that is taken apart has its struct's name",
            "taken_apart",
            json!({ "user": { "name": "Ada", "age": 36 }, "pair": [1, "b"] }),
        ),
        case(&[19, 26], "a parameter that is taken apart: missing", "taken_apart", json!({})),
    ]
}
