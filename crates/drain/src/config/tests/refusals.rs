//! Values that would do harm later, refused where they are read.

use super::*;

#[track_caller]
fn one_problem(variables: &[(&str, &str)]) -> String {
    let problems = problems(variables);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_one_problem_among_the_others() {
    let no_pem = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (path, expected) in [
        ("/nowhere/ca.pem", "/nowhere/ca.pem cannot be read: No such file"),
        (no_pem, "Cargo.toml: it holds no certificate"),
    ] {
        let problems = problems(&[("NOMAD_CACERT", path), ("DRY_RUN", "maybe")]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        let problem = problems.iter().find(|problem| problem.starts_with("NOMAD_CACERT cannot be used: "));
        assert!(problem.unwrap().contains(expected), "{problems:?}");
    }
}

#[test]
fn a_deadline_that_nomad_cannot_be_told_is_told_its_maximum() {
    let problem = one_problem(&[("DRAIN_DEADLINE", "2562048h")]);
    assert!(
        problem.starts_with("DRAIN_DEADLINE is \"2562048h\", which is longer than 2562047h"),
        "{problem}"
    );
}

#[test]
fn what_cannot_be_in_a_host_name_is_said_of_the_variable_that_holds_it() {
    for bad in ["pro d", "prod/eu", "prod:1", "a@b", "{ENV}", "prod?", "prod#", "pród", "a%2fb", "a\\b"] {
        // Both derived values need it; it is said once.
        assert_eq!(
            one_problem(&[("ENV", bad)]),
            format!("ENV is {bad:?}, which cannot be part of a host name or a path (A-Z a-z 0-9 - _ .)")
        );
        assert!(one_problem(&[("REGION", bad)]).starts_with("REGION is "), "{bad}");
        assert!(one_problem(&[("AWS_REGION", bad)]).starts_with("AWS_REGION is "), "{bad}");
    }
    for good in ["prod", "prod-2", "my_env", "eu.prod", "PROD"] {
        parse(&[("ENV", good), ("REGION", "eu-west-1")]).unwrap();
    }
}

#[test]
fn what_is_not_used_is_not_judged() {
    parse(&[
        ("ENV", "a b"),
        ("REGION", "c d"),
        ("AWS_REGION", "eu-west-1"),
        ("NOMAD_ADDR", "http://127.0.0.1:4646"),
        ("NOMAD_TOKEN_PARAMETER", "/nomad/token"),
    ])
    .unwrap();
}

#[test]
fn the_agents_address_has_no_other_place_than_the_ip() {
    for bad in
        ["http://{host}:4646", "http://{{ip}}:4646", "http://{ip}:{port}", "http://{ip:4646", "http://ip}"]
    {
        assert_eq!(
            one_problem(&[("NOMAD_AGENT_URL", bad)]),
            format!(
                "NOMAD_AGENT_URL is {bad:?}: only {{ip}} is replaced, by the instance's private IP address"
            )
        );
    }
    for good in ["https://{ip}:4646/nomad", "http://agent.example:4646"] {
        parse(&[("ENV", "p"), ("REGION", "r"), ("NOMAD_AGENT_URL", good)]).unwrap();
    }
}

#[test]
fn a_token_in_the_place_of_its_parameters_name_is_not_repeated() {
    for token in ["0f3c5a5e-1b2d-4e6f-8a9b-c0d1e2f3a4b5", "0F3C5A5E-1B2D-4E6F-8A9B-C0D1E2F3A4B5"] {
        assert_eq!(
            one_problem(&[("NOMAD_TOKEN_PARAMETER", token)]),
            "NOMAD_TOKEN_PARAMETER looks like a token: it takes the name of the SSM parameter that holds the token"
        );
    }
    for name in ["nomad-token", "/prod/0f3c5a5e-1b2d-4e6f-8a9b-c0d1e2f3a4b5", "aaaaaaaa-bbbb-cccc-dddd"] {
        parse(&[("ENV", "p"), ("REGION", "r"), ("NOMAD_TOKEN_PARAMETER", name)]).unwrap();
    }
}

#[test]
fn a_limit_below_one_would_never_let_anything_drain() {
    for value in ["0", "-1", "many", "1.5", "99999999999"] {
        let refused = parse(&[("ENV", "p"), ("REGION", "r"), ("MAX_DRAINS_PER_GROUP", value)]).unwrap_err();
        let expected = format!("MAX_DRAINS_PER_GROUP is {value:?}, which is not a number from 1 on");
        assert_eq!(refused.problems, [expected]);
    }
    let hook = parse(&[("ENV", "p"), ("REGION", "r"), ("LAUNCH_HOOK_NAME", "a hook")]).unwrap_err();
    assert!(hook.problems[0].starts_with("LAUNCH_HOOK_NAME "), "{:?}", hook.problems);
}
