//! The example, run as a reader runs it.

use std::process::Command;

#[test]
fn one_call_is_allowed_one_is_denied_and_the_server_knows_why() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_example-capabilities")).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    let expected = "\
allowed: this is notes/today
out of scope: notes/private/diary is out of scope (command-failed)
denied: Command delete_note not allowed by ACL (capability-denied)
the server's log: peer 1 may not invoke \"delete_note\": no capability allows it
";
    assert_eq!(text, expected);
}
