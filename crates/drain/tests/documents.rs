//! The documents say what the code says.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use drain_core::reason::Reason;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every Rust source of the workspace, as one text.
fn sources() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&root().join("crates"), &mut text);
    text
}

/// The words between backticks in `text`.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_test_that_behavior_names_exists() {
    let (behavior, sources) = (read("docs/BEHAVIOR.md"), sources());
    let is_test_name = |word: &&str| {
        word.matches('_').count() >= 3
            && Reason::ALL.iter().all(|reason| reason.as_str() != *word)
            && word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let names: Vec<&str> = quoted(&behavior).into_iter().filter(is_test_name).collect();
    assert!(names.len() > 40, "only {} names were recognised", names.len());
    let missing: Vec<&&str> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/BEHAVIOR.md names tests that do not exist: {missing:?}");
}

#[test]
fn every_promise_names_a_test() {
    let behavior = read("docs/BEHAVIOR.md");
    for promise in behavior.split("\n- ").skip(1) {
        let promise = promise.split("\n\n").next().unwrap();
        assert!(quoted(promise).iter().any(|word| word.matches('_').count() >= 3), "no test: {promise}");
    }
}

#[test]
fn operations_explains_every_reason_and_every_error() {
    let operations = read("docs/operations.md");
    let headings: String = operations.lines().filter(|line| line.starts_with("### ")).collect();
    let explained = quoted(&headings);
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    // Error::name has one line for each variant: `Self::NodeNotFound { .. } => "NodeNotFound",`
    let source = read("crates/drain/src/error.rs");
    let names = source.split("pub fn name(").nth(1).unwrap().split("\n    }\n").next().unwrap();
    let errors: Vec<&str> = names.split('"').skip(1).step_by(2).collect();
    assert!(errors.len() > 20, "only {} errors were recognised", errors.len());
    let missing: Vec<&str> = reasons.chain(errors).filter(|word| !explained.contains(word)).collect();
    assert!(missing.is_empty(), "docs/operations.md does not explain {missing:?}");
}
