//! What each variable takes, and what is said when it does not.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;

fn parse(variables: &[(&str, &str)]) -> Result<Config, ConfigurationError> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    Config::parse(|name| variables.get(name).map(|&value| value.to_owned()))
}

#[track_caller]
fn problems(variables: &[(&str, &str)]) -> Vec<String> {
    let mut all = vec![("ENV", "prod"), ("REGION", "eu-west-1")];
    all.extend_from_slice(variables);
    parse(&all).unwrap_err().problems
}

#[test]
fn env_and_region_alone_give_a_whole_configuration() {
    let config = parse(&[("ENV", "prod"), ("REGION", "eu-west-1")]).unwrap();
    assert_eq!(config.nomad_addr.as_str(), "https://nomad.prod-aws-eu-west-1.tis.loc");
    assert_eq!(config.token_parameter.as_deref(), Some("/prod-aws-eu-west-1/broker/secrets/NOMAD_TOKEN"));
    assert_eq!(config.node_lookup, NodeLookup::Auto);
    assert_eq!(config.agent_url, AgentUrl { template: "http://{ip}:4646".to_owned(), chosen: false });
    assert_eq!(config.hooks, None);
    assert_eq!(
        config.policy,
        Policy::default()
    );
    assert_eq!(config.aws.region.as_deref(), Some("eu-west-1"));
}

#[test]
fn env_and_region_are_not_needed_when_nothing_is_derived_from_them() {
    let config = parse(&[
        ("NOMAD_ADDR", "http://127.0.0.1:4646/prefix/"),
        ("NOMAD_TOKEN_PARAMETER", "/nomad/token"),
        ("AWS_REGION", "us-east-1"),
    ])
    .unwrap();
    assert_eq!(config.nomad_addr.as_str(), "http://127.0.0.1:4646/prefix");
    parse(&[("NOMAD_ADDR", "http://127.0.0.1:4646"), ("NOMAD_ACL", "off"), ("NODE_LOOKUP", "server")])
        .unwrap();
}

#[test]
fn the_aws_region_is_lambdas_and_else_region() {
    let config = parse(&[("ENV", "p"), ("REGION", "eu-west-1"), ("AWS_REGION", "eu-west-3")]).unwrap();
    assert_eq!(config.aws.region.as_deref(), Some("eu-west-3"));
    assert_eq!(config.nomad_addr.as_str(), "https://nomad.p-aws-eu-west-1.tis.loc");
}

#[test]
fn empty_is_unset_and_white_space_is_trimmed() {
    let config =
        parse(&[("ENV", " prod\n"), ("REGION", "eu-west-1"), ("DRAIN_DEADLINE", "  "), ("DRY_RUN", " ON ")])
            .unwrap();
    assert_eq!(config.policy.drain_deadline, SignedDuration::from_hours(1));
    assert!(config.policy.dry_run);
    assert_eq!(config.nomad_addr.as_str(), "https://nomad.prod-aws-eu-west-1.tis.loc");
}

#[test]
fn every_problem_is_reported_at_once_and_names_its_variable_and_what_it_takes() {
    let problems = problems(&[
        ("NODE_LOOKUP", "magic"),
        ("DRAIN_DEADLINE", "60"),
        ("DRY_RUN", "maybe"),
        ("NOMAD_ADDR", "nomad.example:4646"),
        ("NOMAD_AGENT_URL", "{ip}:4646"),
        ("LIFECYCLE_HOOK_NAME", "a hook"),
        ("AWS_ENDPOINT_URL_SSM", "localhost"),
    ]);
    insta::assert_snapshot!(problems.join("\n"), @r#"
    NODE_LOOKUP is "magic", which is not one of auto, server, agent
    NOMAD_ADDR "nomad.example:4646" is not an address: it has to begin with http:// or https://
    NOMAD_AGENT_URL "10.0.0.1:4646" is not an address: it has to begin with http:// or https://
    DRAIN_DEADLINE is "60", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)
    DRY_RUN is "maybe", which is not one of true, false, on, off, 1, 0
    LIFECYCLE_HOOK_NAME "a hook" is not a lifecycle hook name (1 to 255 characters of A-Z a-z 0-9 - _ /)
    AWS_ENDPOINT_URL_SSM "localhost" is not an address: it has to begin with http:// or https://
    "#);
}

#[test]
fn an_empty_environment_says_what_is_missing_and_what_to_set() {
    let problems = parse(&[]).unwrap_err().problems;
    insta::assert_snapshot!(problems.join("\n"), @r"
    NOMAD_TOKEN_PARAMETER is not set, and its default /{ENV}-aws-{REGION}/broker/secrets/NOMAD_TOKEN needs ENV and REGION: set NOMAD_TOKEN_PARAMETER or ENV and REGION
    NOMAD_ADDR is not set, and its default https://nomad.{ENV}-aws-{REGION}.tis.loc needs ENV and REGION: set NOMAD_ADDR or ENV and REGION
    AWS_REGION is not set (Lambda sets it), and neither is REGION
    ");
}

#[test]
fn hook_names_are_separated_by_commas() {
    let config = parse(&[("ENV", "p"), ("REGION", "r"), ("LIFECYCLE_HOOK_NAME", "one, two,")]).unwrap();
    let names: Vec<String> = config.hooks.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn an_operator_who_chooses_the_way_to_the_agent_allows_the_token_on_it() {
    let chosen = |variables: &[(&str, &str)]| {
        let mut all = vec![("ENV", "p"), ("REGION", "r")];
        all.extend_from_slice(variables);
        parse(&all).unwrap().agent_url.chosen
    };
    assert!(!chosen(&[]));
    assert!(!chosen(&[("NODE_LOOKUP", "auto")]));
    assert!(chosen(&[("NODE_LOOKUP", "agent")]));
    assert!(chosen(&[("NOMAD_AGENT_URL", "http://{ip}:4646")]));
}

#[test]
fn credentials_are_never_printed() {
    let config = parse(&[
        ("ENV", "p"),
        ("REGION", "r"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "very-secret"),
        ("AWS_SESSION_TOKEN", "session-secret"),
    ])
    .unwrap();
    let printed = format!("{config:?}");
    assert!(!printed.contains("very-secret") && !printed.contains("session-secret"), "{printed}");
}

#[test]
fn every_default_in_the_table_is_one_that_the_parser_accepts() {
    for variable in VARIABLES {
        if variable.default.is_empty() || variable.default.contains("{ENV}") {
            continue;
        }
        parse(&[("ENV", "p"), ("REGION", "r"), (variable.name, variable.default)]).unwrap();
    }
}

#[test]
fn the_readme_has_the_table_as_it_is_generated_here() {
    let readme = include_str!("../../../../README.md");
    assert!(
        readme.contains(&markdown_table()),
        "README.md has an old configuration table; put this one in its place:\n\n{}",
        markdown_table()
    );
}
