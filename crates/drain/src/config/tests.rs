//! What each variable takes, and what is said when it does not.

use std::collections::BTreeMap;

use drain_core::policy::{ActionResult, OnNodeNotFound, Policy};
use jiff::SignedDuration;

use super::*;

mod clusters;
mod credentials;
mod overrides;
mod refusals;

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
    assert_eq!(config.cluster().unwrap().nomad_addr.as_str(), "https://nomad.prod-aws-eu-west-1.tis.loc");
    let token = "the token in SSM parameter /prod-aws-eu-west-1/broker/secrets/NOMAD_TOKEN";
    assert_eq!(config.cluster().unwrap().token.description().as_deref(), Some(token));
    assert_eq!(config.cluster().unwrap().node_lookup, NodeLookup::Auto);
    assert_eq!(
        config.cluster().unwrap().agent_url,
        AgentUrl { template: "http://{ip}:4646".to_owned(), chosen: false }
    );
    assert_eq!(config.hooks, None);
    let region = Some("eu-west-1".to_owned());
    assert_eq!(config.cluster().unwrap().policy, Policy { aws_region: region, ..Policy::default() });
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
    assert_eq!(config.cluster().unwrap().nomad_addr.as_str(), "http://127.0.0.1:4646/prefix");
    parse(&[("NOMAD_ADDR", "http://127.0.0.1:4646"), ("NOMAD_ACL", "off"), ("NODE_LOOKUP", "server")])
        .unwrap();
}

#[test]
fn the_aws_region_is_lambdas_and_else_region() {
    let config = parse(&[("ENV", "p"), ("REGION", "eu-west-1"), ("AWS_REGION", "eu-west-3")]).unwrap();
    assert_eq!(config.aws.region.as_deref(), Some("eu-west-3"));
    assert_eq!(config.cluster().unwrap().nomad_addr.as_str(), "https://nomad.p-aws-eu-west-1.tis.loc");
}

#[test]
fn empty_is_unset_and_white_space_is_trimmed() {
    let config =
        parse(&[("ENV", " prod\n"), ("REGION", "eu-west-1"), ("DRAIN_DEADLINE", "  "), ("DRY_RUN", " ON ")])
            .unwrap();
    assert_eq!(config.cluster().unwrap().policy.drain_deadline, SignedDuration::from_hours(1));
    assert!(config.cluster().unwrap().policy.dry_run);
    assert_eq!(config.cluster().unwrap().nomad_addr.as_str(), "https://nomad.prod-aws-eu-west-1.tis.loc");
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
    LIFECYCLE_HOOK_NAME "a hook" is not a lifecycle hook name (1 to 255 characters of A-Z a-z 0-9 - _ /)
    NODE_LOOKUP is "magic", which is not one of auto, server, agent
    NOMAD_ADDR "nomad.example:4646" is not an address: it has to begin with http:// or https://
    NOMAD_AGENT_URL "10.0.0.1:4646" is not an address: it has to begin with http:// or https://
    DRAIN_DEADLINE is "60", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)
    DRY_RUN is "maybe", which is not one of true, false, on, off, 1, 0
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
fn unset_variables_mean_what_the_contract_says() {
    let config = parse(&[("ENV", "p"), ("REGION", "r")]).unwrap();
    assert_eq!(
        config.cluster().unwrap().policy,
        Policy { aws_region: Some("r".to_owned()), ..Policy::default() }
    );
    assert_eq!(config.sweep_linger, SignedDuration::from_secs(50));
    assert_eq!(config.event_linger, None);
    assert_eq!(config.poll_interval, SignedDuration::from_secs(5));
    assert_eq!(config.groups, GroupSelection::tagged());
    assert_eq!(config.sweep_hooks(), [HookName::parse("nomad-drain-hook").unwrap()]);
}

#[test]
fn every_setting_reaches_the_policy() {
    let config = parse(&[
        ("ENV", "p"),
        ("REGION", "r"),
        ("DRAIN_DEADLINE", "10m"),
        ("DRAIN_IGNORE_SYSTEM_JOBS", "1"),
        ("DRY_RUN", "on"),
        ("SWEEP", "on"),
        ("SWEEP_LINGER", "1s"),
        ("POLL_INTERVAL", "200ms"),
        ("MAX_HOLD", "3h"),
        ("KILL_GRACE", "3s"),
        ("ON_DRAIN_TIMEOUT", "Abandon"),
        ("ON_NODE_NOT_FOUND", "hold"),
        ("NODE_JOIN_GRACE", "4s"),
        ("DISCONNECTED_GRACE", "5s"),
        ("DOWN_GRACE", "6s"),
        ("PAUSE", "true"),
        ("SETTLE_DELAY", "7s"),
        ("RESTORE_AFTER", "8m"),
        ("PURGE_NODES", "on"),
        ("MAX_DRAINS_PER_GROUP", "9"),
    ])
    .unwrap();
    let expected = Policy {
        drain_deadline: SignedDuration::from_mins(10),
        ignore_system_jobs: true,
        dry_run: true,
        sweep: true,
        max_hold: SignedDuration::from_hours(3),
        kill_grace: SignedDuration::from_secs(3),
        on_drain_timeout: ActionResult::Abandon,
        on_node_not_found: OnNodeNotFound::Hold,
        node_join_grace: SignedDuration::from_secs(4),
        disconnected_grace: SignedDuration::from_secs(5),
        down_grace: SignedDuration::from_secs(6),
        pause: true,
        settle_delay: SignedDuration::from_secs(7),
        restore_after: SignedDuration::from_mins(8),
        purge_nodes: true,
        max_drains_per_group: Some(9),
        aws_region: config.aws.region.clone(),
    };
    assert_eq!(config.cluster().unwrap().policy, expected);
    assert_eq!(config.sweep_linger, SignedDuration::from_secs(1));
    assert_eq!(config.poll_interval, SignedDuration::from_millis(200));
}

#[test]
fn what_is_done_for_instances_that_come_or_may_survive_has_to_be_asked_for() {
    let config = parse(&[("ENV", "p"), ("REGION", "r")]).unwrap();
    assert_eq!((config.launch_hook, config.on_rebalance, config.on_scheduled_change), (None, false, false));
    let asked = [("ENV", "p"), ("REGION", "r"), ("SWEEP", "on"), ("ON_LAUNCH", "wait")];
    let launch_hook = |more: &[(&str, &str)]| {
        let all: Vec<_> = asked.iter().chain(more).copied().collect();
        parse(&all).unwrap().launch_hook.unwrap().to_string()
    };
    assert_eq!(launch_hook(&[]), "nomad-launch-hook");
    assert_eq!(launch_hook(&[("LAUNCH_HOOK_NAME", "up")]), "up");
    let drains = [("ON_REBALANCE", "drain"), ("ON_SCHEDULED_CHANGE", "Drain"), ("SWEEP", "on")];
    let all: Vec<_> = [("ENV", "p"), ("REGION", "r")].iter().chain(&drains).copied().collect();
    let config = parse(&all).unwrap();
    assert!(config.on_rebalance && config.on_scheduled_change && config.warnings.is_empty());
}

#[test]
fn what_needs_a_sweep_says_so_when_there_is_none() {
    let warnings = |name, value| parse(&[("ENV", "p"), ("REGION", "r"), (name, value)]).unwrap();
    let limited = warnings("MAX_DRAINS_PER_GROUP", "3");
    assert_eq!(limited.cluster().unwrap().policy.max_drains_per_group, None);
    assert!(limited.warnings[0].starts_with("MAX_DRAINS_PER_GROUP is left out"), "{:?}", limited.warnings);
    let survives = warnings("ON_REBALANCE", "drain").warnings;
    assert!(survives[0].starts_with("SWEEP is off: nobody gives the node"), "{survives:?}");
}

#[test]
fn an_instance_is_held_for_twice_the_deadline_if_nothing_else_is_said() {
    let max_hold = |deadline| {
        parse(&[("ENV", "p"), ("REGION", "r"), ("DRAIN_DEADLINE", deadline)])
            .unwrap()
            .cluster()
            .unwrap()
            .policy
            .max_hold
    };
    assert_eq!(max_hold("90m"), SignedDuration::from_hours(3));
    assert_eq!(max_hold("2562047h"), SignedDuration::from_hours(2 * 2_562_047));
}

#[test]
fn an_event_lingers_as_long_as_it_can_unless_a_sweep_goes_on() {
    let linger = |variables: &[(&str, &str)]| {
        let mut all = vec![("ENV", "p"), ("REGION", "r")];
        all.extend_from_slice(variables);
        parse(&all).unwrap().event_linger
    };
    assert_eq!(linger(&[]), None);
    assert_eq!(linger(&[("SWEEP", "on")]), Some(SignedDuration::from_secs(15)));
    for sweep in ["on", "off"] {
        let lingers = linger(&[("SWEEP", sweep), ("EVENT_LINGER", "3s")]);
        assert_eq!(lingers, Some(SignedDuration::from_secs(3)), "{sweep}");
    }
}

#[test]
fn the_settle_delay_alone_may_be_zero() {
    for zero in ["0", "0s"] {
        let config = parse(&[("ENV", "p"), ("REGION", "r"), ("SETTLE_DELAY", zero)]).unwrap();
        assert_eq!(config.cluster().unwrap().policy.settle_delay, SignedDuration::ZERO);
    }
    assert_eq!(problems(&[("KILL_GRACE", "0"), ("DOWN_GRACE", "0s"), ("SETTLE_DELAY", "5")]).len(), 3);
}

#[test]
fn groups_are_names_and_globs() {
    let config =
        parse(&[("ENV", "p"), ("REGION", "r"), ("AUTO_SCALING_GROUPS", "workers, spot-*,")]).unwrap();
    let patterns = ["workers", "spot-*"].map(|text| GroupPattern::parse(text).unwrap());
    assert_eq!(config.groups, GroupSelection::named(patterns.to_vec()));
}

#[test]
fn the_sweep_acts_on_the_named_hooks() {
    let config = parse(&[("ENV", "p"), ("REGION", "r"), ("LIFECYCLE_HOOK_NAME", "one,two")]).unwrap();
    assert_eq!(Some(config.sweep_hooks()), config.hooks.as_deref());
}

#[test]
fn what_a_sweep_cannot_use_is_a_problem() {
    let told = problems(&[
        ("SWEEP", "daily"),
        ("SWEEP_LINGER", "50"),
        ("EVENT_LINGER", "long"),
        ("POLL_INTERVAL", "0s"),
        ("AUTO_SCALING_GROUPS", "good-*, a:b, c\td"),
        ("MAX_HOLD", "forever"),
        ("DRAIN_DEADLINE", "3000000h"),
        ("ON_DRAIN_TIMEOUT", "hold"),
        ("ON_NODE_NOT_FOUND", "panic"),
    ]);
    insta::assert_snapshot!(told.join("\n"), @r#"
    SWEEP is "daily", which is not one of true, false, on, off, 1, 0
    AUTO_SCALING_GROUPS "a:b" is not the name of an Auto Scaling group (1 to 255 printable characters, no colon)
    AUTO_SCALING_GROUPS "c\td" is not the name of an Auto Scaling group (1 to 255 printable characters, no colon)
    SWEEP_LINGER is "50", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)
    EVENT_LINGER is "long", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)
    POLL_INTERVAL is "0s", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)
    DRAIN_DEADLINE is "3000000h", which is longer than 2562047h, the longest that Nomad can be told (it counts nanoseconds in 64 bits)
    MAX_HOLD is "forever", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)
    ON_DRAIN_TIMEOUT is "hold", which is not one of continue, abandon
    ON_NODE_NOT_FOUND is "panic", which is not one of continue, abandon, hold
    "#);
    assert_eq!(problems(&[("AUTO_SCALING_GROUPS", " , ")]), ["AUTO_SCALING_GROUPS has no name in it"]);
}

#[test]
fn an_operator_who_chooses_the_way_to_the_agent_allows_the_token_on_it() {
    let chosen = |variables: &[(&str, &str)]| {
        let mut all = vec![("ENV", "p"), ("REGION", "r")];
        all.extend_from_slice(variables);
        parse(&all).unwrap().cluster().unwrap().agent_url.chosen
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
