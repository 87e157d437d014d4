//! The example, run as a reader runs it.

use std::process::Command;

#[test]
fn messages_pass_are_rewritten_and_refused_and_there_is_no_way_around() {
    let output = Command::new(env!("CARGO_BIN_EXE_example-isolation")).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    let expected = "\
passes: this is public/today
rewritten: this is public/diary
refused: notes are not deleted from here (guard-refused)
around the guard: the peer refused the connection: this core is for its guard (peer-refused)
";
    assert_eq!(text, expected);
}
