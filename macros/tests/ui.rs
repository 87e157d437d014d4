//! What compiles, and the words for what does not.

#[test]
fn what_a_command_can_be_compiles_and_what_it_cannot_be_is_explained() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
