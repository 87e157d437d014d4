//! The example, run as a reader runs it.

use std::process::Command;

#[test]
fn both_processes_run_and_the_client_prints_progress_and_result() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_example-progress")).output().expect("the example starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    assert_eq!(text, "25 %\n50 %\n75 %\n100 %\nthe bytes add up to 6291456\n");
}
