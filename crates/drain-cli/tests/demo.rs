//! The demonstration, as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::process::{Command, Output};

use serde_json::Value;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nomad-drain")).arg("demo").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn both_instances_are_drained_and_the_document_says_so() {
    let run = demo(&["--json"]);
    assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(document["succeeded"], true);
    assert_eq!(document["problems"].as_array().unwrap().len(), 0);
    let instances = document["instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2);
    for instance in instances {
        assert_eq!(
            (&instance["outcome"], &instance["reason"]),
            (&"drain_started".into(), &"drain_posted".into())
        );
        assert!(
            instance["event_to_drain_ms"].as_u64().unwrap() < instance["event_to_empty_ms"].as_u64().unwrap()
        );
    }
    for operation in ["GetParameter", "GET /v1/nodes", "GET /v1/node/:id", "POST /v1/node/:id/drain"] {
        assert_eq!(document["calls"][operation], 2, "{operation}");
    }
}

#[test]
fn without_a_terminal_there_is_a_line_for_each_event_and_a_summary() {
    let run = demo(&[]);
    let output = text(&run.stdout);
    assert!(run.status.success(), "{output}{}", text(&run.stderr));
    assert!(!output.contains('\u{1b}'), "no colours and no cursor movement without a terminal: {output}");
    let has_line = |words: &[&str]| output.lines().any(|line| words.iter().all(|word| line.contains(word)));
    for words in
        [["drain started", "worker-1"], ["drain complete", "worker-2"], ["event to drain", "event to empty"]]
    {
        assert!(has_line(&words), "{words:?} is not in {output}");
    }
    assert!(output.contains("Everything happened."), "{output}");
}

#[test]
fn a_function_that_fails_is_told_at_once() {
    let run = demo(&["--bootstrap", "/bin/false"]);
    assert!(!run.status.success());
    let said = text(&run.stderr);
    assert!(said.contains("the function failed: Runtime.ExitError"), "{said}");
}
