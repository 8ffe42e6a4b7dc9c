//! The documents say what the code says.

use std::collections::BTreeSet;

use super::*;

/// The rows of the tables in docs/doctor.md: code and severity.
fn documented() -> Vec<(String, String)> {
    let document = include_str!("../../../../docs/doctor.md");
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('|'))
        .map(|(code, rest)| (cell(code), cell(rest.split('|').next().unwrap_or_default())))
        .collect()
}

#[test]
fn every_code_is_documented_with_its_severity_and_no_other() {
    let code = |code: &Code| (code.as_str().to_owned(), code.severity().as_str().to_owned());
    let coded: Vec<(String, String)> = Code::ALL.iter().map(code).collect();
    assert_eq!(documented(), coded);
}

#[test]
fn codes_are_kebab_case_and_different() {
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    for name in names {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
    }
}

#[test]
fn an_error_fails_and_a_warning_does_not() {
    let found = |code| Finding::new(Area::Groups, code, "workers", "it is so");
    assert_eq!(exit(&[found(Code::GroupOnHold), found(Code::NotChecked)], true), Exit::Done);
    assert_eq!(exit(&[found(Code::GroupOnHold), found(Code::HookMissing)], true), Exit::NotDone);
    // Nothing is known then.
    assert_eq!(exit(&[found(Code::CredentialsMissing)], true), Exit::Unknown);
    assert_eq!(exit(&[found(Code::ConfigurationInvalid)], false), Exit::Unknown);
    assert_eq!(exit(&[found(Code::ConfigurationInvalid)], true), Exit::NotDone);
    let sealed =
        Finding::new(Area::Configuration, Code::NotChecked, "the function", "its variables are sealed");
    assert_eq!(exit(std::slice::from_ref(&sealed), true), Exit::Unknown);
    assert_eq!(exit(&[sealed, found(Code::HookMissing)], true), Exit::NotDone);
    assert_eq!(exit(&[found(Code::CredentialsMissing), found(Code::NomadNoLeader)], true), Exit::NotDone);
}
