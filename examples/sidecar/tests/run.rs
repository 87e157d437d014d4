//! The example, run as a reader runs it.

use std::process::Command;

#[test]
fn the_program_outlives_its_sidecar_and_starts_another_one() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_example-sidecar")).output().expect("the example starts");
    let text = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert_eq!(
        text,
        "[5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105, 255]\n\
         row 1 is done\n\
         row 2 is done\n\
         row 3 is done\n\
         the sidecar has died\n\
         after that: peer-died\n\
         the new one: 0 pictures, brightness 0\n\
         [100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200, 255]\n\
         the sidecar ends\n"
    );
}
