//! Calls that fail, and links that live on.

use serde_json::Value;
use tramline::{InvokeError, Rejection, SendError, json};
use tramline_tests::commands::Failure;
use tramline_tests::fixture::{Fixture, limits};
use tramline_tests::{Setup, conformance};

conformance! {
    error_object_keeps_its_shape,
    unknown_command_is_refused_and_the_link_lives,
    denied_and_unknown_names_look_the_same_to_a_peer_without_rights,
    missing_argument_names_it,
    mistyped_argument_names_it,
    panicking_handler_is_an_error_reply,
    unserialisable_result_is_an_error_reply,
    unserialisable_argument_is_not_sent,
    command_name_that_does_not_fit_is_an_error,
    a_request_over_the_limit_is_refused_and_the_link_lives,
    a_result_over_the_limit_is_refused_and_the_link_lives,
    an_event_over_the_limit_is_refused_and_the_link_lives,
}

fn assert_lives(f: &Fixture) {
    let sum: i64 = f.client.invoke("add", json!({ "a": 1, "b": 1 })).wait().expect("it lives");
    assert_eq!(sum, 2);
    assert_eq!(f.client.ended(), None);
}

fn refusal(f: &Fixture, command: &str, args: Value) -> InvokeError {
    f.client.invoke::<Value, _>(command, args).wait().expect_err("refused")
}

fn error_object_keeps_its_shape(setup: &Setup) {
    let f = setup.open();
    let InvokeError::Failed(failure) = refusal(&f, "fail", json!({ "path": "/x" })) else {
        panic!("not a failure of the command");
    };
    assert_eq!(failure.code(), "command-failed");
    let expected = json!({ "kind": "not-found", "path": "/x", "tried": [1, 2] });
    assert_eq!(failure.value::<Value>().expect("an object"), expected);
    assert_eq!(failure.value::<Failure>().expect("its type").tried, [1, 2]);
    assert_lives(&f);
}

fn unknown_command_is_refused_and_the_link_lives(setup: &Setup) {
    let f = setup.open();
    let refused = refusal(&f, "no_such_command", json!({}));
    assert!(
        matches!(refused, InvokeError::Rejected(Rejection::UnknownCommand { .. })),
        "{refused:?}"
    );
    assert_lives(&f);
}

fn denied_and_unknown_names_look_the_same_to_a_peer_without_rights(setup: &Setup) {
    let f = setup.open();
    let texts = ["forbidden", "never_heard"].map(|name| {
        let refused = refusal(&f, name, json!({}));
        assert!(matches!(refused, InvokeError::Rejected(Rejection::Denied { .. })), "{refused:?}");
        refused.to_string().replace(name, "NAME")
    });
    assert_eq!(texts[0], texts[1]);
    assert_lives(&f);
}

fn missing_argument_names_it(setup: &Setup) {
    let f = setup.open();
    let refused = refusal(&f, "user_name", json!({ "userId": 1 }));
    assert_eq!(refused.code(), "bad-arguments");
    assert!(refused.to_string().contains("firstName"), "{refused}");
    assert_lives(&f);
}

fn mistyped_argument_names_it(setup: &Setup) {
    let f = setup.open();
    let refused = refusal(&f, "user_name", json!({ "userId": "one", "firstName": "Ada" }));
    assert_eq!(refused.code(), "bad-arguments");
    assert!(refused.to_string().contains("userId"), "{refused}");
    assert_lives(&f);
}

fn panicking_handler_is_an_error_reply(setup: &Setup) {
    let f = setup.open();
    for command in ["panics", "panics_inline", "panics_async"] {
        let refused = refusal(&f, command, json!({}));
        assert!(matches!(refused, InvokeError::Failed(_)), "{command}: {refused:?}");
        assert_eq!(refused.code(), "handler-panicked", "{command}");
        assert!(!refused.to_string().contains("on purpose"), "{command}: {refused}");
        assert_lives(&f);
    }
}

fn unserialisable_result_is_an_error_reply(setup: &Setup) {
    let f = setup.open();
    let refused = refusal(&f, "unserialisable", json!({}));
    assert_eq!(refused.code(), "result-not-encodable");
    assert_lives(&f);
}

fn unserialisable_argument_is_not_sent(setup: &Setup) {
    let f = setup.open();
    let args = tramline_tests::commands::Unserialisable;
    let refused = f.client.invoke::<Value, _>("echo", args).wait().expect_err("no form");
    assert!(matches!(refused, InvokeError::Send(SendError::Encode(_))), "{refused:?}");
    assert_lives(&f);
}

fn command_name_that_does_not_fit_is_an_error(setup: &Setup) {
    let f = setup.open();
    let refused = refusal(&f, &"x".repeat(256), json!({}));
    assert_eq!(refused.code(), "bad-command-name");
    let refused = refusal(&f, &"x".repeat(255), json!({}));
    assert_eq!(refused.code(), "capability-denied");
    assert_lives(&f);
}

const LIMIT: usize = 64 << 10;

/// One side accepts no more than [`LIMIT`], once the server and once the client.
fn limited(setup: &Setup) -> [Fixture; 2] {
    let mut small = limits();
    small.max_message_len = LIMIT;
    [setup.open_with(small, limits()), setup.open_with(limits(), small)]
}

fn assert_too_large(error: &SendError) {
    let SendError::TooLarge { len, max } = error else {
        panic!("{error:?}");
    };
    assert!(*len > LIMIT && *max == LIMIT, "{error:?}");
}

fn a_request_over_the_limit_is_refused_and_the_link_lives(setup: &Setup) {
    for f in limited(setup) {
        let name_and_head = 16 + "raw_length".len();
        let fits = vec![1; LIMIT - name_and_head];
        let len: usize = f.client.invoke_raw("raw_length", fits).wait().expect("just fits");
        assert_eq!(len, LIMIT - name_and_head);
        for too_long in [LIMIT - name_and_head + 1, LIMIT, 2 * LIMIT, 1 << 20] {
            let refused = f.client.invoke_raw::<usize>("raw_length", vec![1; too_long]).wait();
            let Err(InvokeError::Send(error)) = refused else {
                panic!("{refused:?}");
            };
            assert_too_large(&error);
        }
        let text = "x".repeat(LIMIT);
        let refused = f.client.invoke::<String, _>("echo_text", json!({ "text": text })).wait();
        let Err(InvokeError::Send(error)) = refused else {
            panic!("{refused:?}");
        };
        assert_too_large(&error);
        assert_lives(&f);
    }
}

fn a_result_over_the_limit_is_refused_and_the_link_lives(setup: &Setup) {
    for f in limited(setup) {
        for len in [LIMIT, 1 << 20] {
            let refused = refusal(&f, "raw_result", json!({ "len": len }));
            assert!(matches!(refused, InvokeError::Failed(_)), "{refused:?}");
            assert_eq!(refused.code(), "result-too-large");
        }
        assert_lives(&f);
    }
}

fn an_event_over_the_limit_is_refused_and_the_link_lives(setup: &Setup) {
    for f in limited(setup) {
        let error = f.client.emit("up", &"x".repeat(LIMIT)).expect_err("too long");
        assert_too_large(&error);
        let error = f.client.emit_raw("up", &[0; 2 * LIMIT]).expect_err("too long");
        assert_too_large(&error);
        assert_lives(&f);
    }
}
