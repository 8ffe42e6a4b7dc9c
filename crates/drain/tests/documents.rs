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

/// The IAM actions that the function's role may need: `deploy/iam/actions.json`.
#[test]
fn operations_explains_every_metric() {
    let operations = read("docs/operations.md");
    for (name, unit) in drain::metrics::NAMES {
        let row = format!("| `{name}` | {unit} | ");
        assert!(operations.contains(&row), "docs/operations.md lacks a row that begins with {row}");
    }
}

fn actions() -> Vec<serde_json::Map<String, serde_json::Value>> {
    serde_json::from_str(&read("deploy/iam/actions.json")).unwrap()
}

fn text<'a>(action: &'a serde_json::Map<String, serde_json::Value>, field: &str) -> &'a str {
    action[field].as_str().unwrap()
}

#[test]
fn the_list_of_iam_actions_is_that_of_the_calls() {
    fn calls(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                calls(&path, found);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            // Each call names its operation as IAM names the action; Auto Scaling's are named by a macro.
            let literals = source.split('"');
            let is_action = |text: &&str| {
                let parts = text.split_once(':');
                parts.is_some_and(|(service, name)| {
                    !service.is_empty()
                        && service.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                        && name.starts_with(|c: char| c.is_ascii_uppercase())
                        && name.chars().all(|c| c.is_ascii_alphanumeric())
                })
            };
            found.extend(literals.filter(is_action).map(str::to_owned));
            let macros = source.split("operation!(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(macros.map(|name| format!("autoscaling:{name}")));
        }
    }
    let mut called = BTreeSet::new();
    calls(&root().join("crates/drain/src/aws"), &mut called);
    // Nobody calls it: SSM and Secrets Manager do, in our name.
    called.insert("kms:Decrypt".to_owned());
    let listed: BTreeSet<String> = actions().iter().map(|action| text(action, "action").to_owned()).collect();
    assert_eq!(listed, called);
}

#[test]
fn iam_actions_are_explained_where_people_look() {
    let (readme, by_hand) = (read("README.md"), read("docs/deploy-by-hand.md"));
    for action in actions() {
        let name = text(&action, "action");
        let row = format!("| `{name}` | {} | {} |", text(&action, "for"), text(&action, "without"));
        assert!(readme.contains(&row), "README.md lacks this row: {row}");
        assert!(by_hand.contains(name), "docs/deploy-by-hand.md does not name {name}");
        let open = name.contains(":Describe") || name.starts_with("sts:");
        assert_eq!(text(&action, "resource") == "*", open, "{name}: as narrow as the action can be");
    }
}

#[test]
fn the_nomad_policy_gives_a_reason_for_each_rule() {
    let policy = read("deploy/nomad/nomad-drain.policy.hcl");
    let rules: Vec<&str> = policy.split("\n\n").filter(|block| block.contains('{')).collect();
    let opened: Vec<&str> =
        rules.iter().filter_map(|rule| rule.lines().find(|line| line.ends_with('{'))).collect();
    assert_eq!(opened, ["node {", "namespace \"*\" {", "agent {"]);
    assert!(rules.iter().all(|rule| rule.starts_with("# ")), "{policy}");
    let inside: Vec<&str> = policy.lines().map(str::trim).filter(|line| line.contains(" = ")).collect();
    assert_eq!(inside, ["policy = \"write\"", "capabilities = [\"read-job\"]", "policy = \"read\""]);
}
