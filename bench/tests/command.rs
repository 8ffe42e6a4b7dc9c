//! What the command says when it cannot do what it is asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drain-bench")).args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_measurement_that_does_not_exist_is_a_usage_error_that_names_those_that_do() {
    let output = run(&["--only", "everything"]);
    assert_eq!(output.status.code(), Some(2));
    for name in ["cold", "warm", "size", "ladder", "held", "cost"] {
        assert!(told(&output).contains(name), "{}", told(&output));
    }
}

#[test]
fn nothing_is_compared_with_a_record_that_cannot_be_read() {
    let output = run(&["check", "--recorded", "/nowhere/recorded.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("/nowhere/recorded.json"), "{}", told(&output));
}
