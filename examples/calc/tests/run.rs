//! The example, run as a reader runs it.

use std::process::Command;

#[test]
fn both_processes_run_and_the_client_prints_results_and_events() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_example-calc")).output().expect("the example starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    assert_eq!(text, "2 + 3 = 5\n40 + 2 = 42\nevent `added`: 5\nevent `added`: 42\n");
}
