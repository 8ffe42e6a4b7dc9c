//! What the document of the clusters takes, and what is said when it does not.

use super::*;

const TOKEN: &str = "3f6c2a52-0d4b-4d38-a3b1-7c25b3a0d4ee";

fn document(more: &[(&str, &str)]) -> ClusterDocument {
    let mut all = vec![("CLUSTERS_PARAMETER", "/clusters"), ("AWS_REGION", "eu-west-1")];
    all.extend_from_slice(more);
    match parse(&all).unwrap().clusters {
        NomadClusters::Document(document) => document,
        NomadClusters::One(_) => panic!("no document"),
    }
}

/// The document's only cluster.
fn cluster(more: &[(&str, &str)], settings: &str) -> ClusterSection {
    let text = format!(r#"{{"clusters":{{"blue":{{"groups":["blue-*"],{settings}}}}}}}"#);
    document(more).parse(&text).unwrap().pop().unwrap()
}

#[track_caller]
fn refusals(text: &str) -> Vec<String> {
    let error = document(&[("ENV", "prod"), ("REGION", "eu-west-1")]).parse(text).unwrap_err();
    assert!(
        error.to_string().starts_with("the document of the Nomad clusters in SSM parameter /clusters has ")
    );
    error.problems
}

#[test]
fn with_a_document_the_environment_need_not_be_whole() {
    let config = parse(&[("CLUSTERS_PARAMETER", "/clusters"), ("AWS_REGION", "eu-west-1")]).unwrap();
    assert!(config.cluster().is_none() && config.warnings.is_empty());
    let nowhere = parse(&[("CLUSTERS_PARAMETER", "/clusters")]).unwrap_err();
    assert!(nowhere.problems[0].starts_with("AWS_REGION is not set"), "{:?}", nowhere.problems);
}

#[test]
fn a_cluster_has_its_own_settings_and_else_the_environments() {
    let environment = [
        ("NOMAD_ADDR", "https://everybody"),
        ("NOMAD_TOKEN_PARAMETER", "/token"),
        ("DRAIN_DEADLINE", "30m"),
        ("SWEEP", "on"),
        ("PURGE_NODES", "on"),
    ];
    let settings =
        r#""NOMAD_ADDR":"https://blue","DRY_RUN":true,"MAX_DRAINS_PER_GROUP":3,"KILL_GRACE":"10s""#;
    let ClusterSection { name, groups, tag, config, .. } = cluster(&environment, settings);
    assert_eq!((name.as_str(), groups.len(), tag), ("blue", 1, None));
    assert_eq!(config.nomad_addr.as_str(), "https://blue");
    assert_eq!(config.token.description().as_deref(), Some("the token in SSM parameter /token"));
    let expected = Policy {
        drain_deadline: SignedDuration::from_mins(30),
        max_hold: SignedDuration::from_hours(1),
        kill_grace: SignedDuration::from_secs(10),
        dry_run: true,
        max_drains_per_group: Some(3),
        sweep: true,
        purge_nodes: true,
        aws_region: Some("eu-west-1".to_owned()),
        ..Policy::default()
    };
    assert_eq!(config.policy, expected);
}

#[test]
fn names_are_derived_for_each_cluster() {
    let ClusterSection { config, .. } = cluster(&[("REGION", "eu-west-1")], r#""ENV":"blue""#);
    assert_eq!(config.nomad_addr.as_str(), "https://nomad.blue-aws-eu-west-1.tis.loc");
}

#[test]
fn a_cluster_that_says_where_its_token_is_wants_none_of_the_environments() {
    let environment =
        [("NOMAD_ADDR", "https://nomad"), ("NOMAD_TOKEN", TOKEN), ("NOMAD_CACERT_PARAMETER", "/ca")];
    let whose = |settings: &str| {
        let ClusterSection { config, warnings, .. } = cluster(&environment, settings);
        assert!(warnings.is_empty(), "{warnings:?}");
        config.token.description()
    };
    assert_eq!(whose(r#""PAUSE":"off""#).as_deref(), Some("the token in NOMAD_TOKEN"));
    assert_eq!(
        whose(r#""NOMAD_TOKEN_PARAMETER":"/blue""#).as_deref(),
        Some("the token in SSM parameter /blue")
    );
    assert_eq!(
        whose(r#""NOMAD_AUTH_METHOD":"aws","NOMAD_AUTH_AUDIENCE":"blue""#).as_deref(),
        Some("the token that auth method aws gave")
    );
    let places = |settings: &str| {
        let places = cluster(&environment, settings).config.tls;
        places.places().iter().map(|(_, place)| place.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(places(r#""PAUSE":"off""#), ["SSM parameter /ca"]);
    assert_eq!(places(r#""NOMAD_CACERT_PARAMETER":"/blue-ca""#), ["SSM parameter /blue-ca"]);
}

#[test]
fn whatever_is_not_understood_is_a_problem() {
    insta::assert_snapshot!(refusals(r#"{"clusters":{
        "blue":{"groups":["blue-*"],"Nomad_addr":"x","SWEEP":"on","AUTO_SCALING_GROUPS":"blue",
                "NOMAD_TOKEN":"3f6c2a52-0d4b-4d38-a3b1-7c25b3a0d4ee","DRAIN_DEADLINE":60,"PAUSE":null,"KILL_GRACE":""},
        "green":{"tag":"off","groups":["a:b"],"KILL_GRACE":"1m","KILL_GRACE":"2m"},
        "no name":{"groups":["x"]},
        "red":{"NOMAD_ADDR":"nomad","groups":[]},
        "grey":{},
        "list":[]
    },"version":1}"#).join("\n"), @r#"
    "version" is unknown; the only field is "clusters"
    cluster blue: "Nomad_addr" is unknown: a setting has the name of the environment's variable
    cluster blue: SWEEP is for the whole function: set it in the environment
    cluster blue: AUTO_SCALING_GROUPS is for the whole function; the groups of a cluster are in "groups"
    cluster blue: NOMAD_TOKEN does not belong into a document that many may read: name where the token is kept
    cluster blue: PAUSE is neither text nor a number nor true or false
    cluster blue: KILL_GRACE is empty: leave it out, and the environment's counts
    cluster blue: DRAIN_DEADLINE is "60", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms)
    cluster green: "tag" is not a value that the tag nomad-drain of its groups may have: text without white space around it, neither off nor false
    cluster green: "groups": "a:b" is not the name of an Auto Scaling group (1 to 255 printable characters, no colon)
    cluster green: KILL_GRACE is there twice
    "no name" cannot be the name of a cluster (1 to 64 of A-Z a-z 0-9 - _)
    cluster red: "groups" is not a list of names of Auto Scaling groups, or globs for them
    cluster red: NOMAD_ADDR "nomad" is not an address: it has to begin with http:// or https://
    cluster grey: it has neither "groups" (names of Auto Scaling groups) nor "tag" (the value of their tag nomad-drain): no instance is its
    cluster list: it is not an object with the cluster's settings
    "#);
}

#[test]
fn what_is_no_document_is_told_without_a_word_of_it() {
    for (text, expected) in [
        (TOKEN, "it is not a JSON object (line 1, column 1)"),
        ("", "it is not a JSON object (line 1, column 0)"),
        ("{\"clusters\":{\"blue\":{}", "it is not a JSON object (line 1, column 22)"),
        (r#"{"clusters":"secret"}"#, "\"clusters\" is not an object with a section for each cluster"),
        (r#"{"clusters":{}}"#, "it names no cluster: {\"clusters\":{\"name\":{…}}}"),
        ("{}", "it names no cluster: {\"clusters\":{\"name\":{…}}}"),
    ] {
        assert_eq!(refusals(text), [expected], "{text}");
    }
}

#[test]
fn clusters_that_contradict_each_other_are_named() {
    let section = |more: &str, addr: &str| format!(r#"{{{more},"NOMAD_ADDR":"https://{addr}"}}"#);
    let both = |blue: &str, green: &str| format!(r#"{{"clusters":{{"blue":{blue},"green":{green}}}}}"#);
    for (text, expected) in [
        (
            both(&section(r#""tag":"x""#, "a"), &section(r#""tag":"x""#, "b")),
            "clusters blue and green have the same \"tag\"",
        ),
        (
            both(&section(r#""tag":"x""#, "a"), &section(r#""tag":"y""#, "a")),
            "clusters blue and green have the same NOMAD_ADDR and NOMAD_REGION, https://a: they are one cluster",
        ),
        (
            both(&section(r#""groups":["w-1","w-2"]"#, "a"), &section(r#""groups":["*-1","w-3"]"#, "b")),
            "group w-1 is of clusters blue and green",
        ),
        (
            both(&section(r#""groups":["w-1"]"#, "a"), &section(r#""groups":["w-1"]"#, "b")),
            "group w-1 is of clusters blue and green",
        ),
        (
            format!(
                r#"{{"clusters":{{"blue":{},"blue":{}}}}}"#,
                section(r#""tag":"x""#, "a"),
                section(r#""tag":"y""#, "b")
            ),
            "cluster blue is there twice",
        ),
    ] {
        assert_eq!(refusals(&text), [expected], "{text}");
    }
    let regions = format!(
        r#"{{"clusters":{{"blue":{},"green":{}}}}}"#,
        section(r#""tag":"x","NOMAD_REGION":"eu""#, "a"),
        section(r#""tag":"y","NOMAD_REGION":"us""#, "a")
    );
    let environment = [("ENV", "prod"), ("REGION", "eu-west-1")];
    assert_eq!(document(&environment).parse(&regions).unwrap().len(), 2);
}

#[test]
fn every_variable_is_either_the_functions_or_a_clusters() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "NOMAD_AUTH_METHOD").then(|| "aws".to_owned())
    };
    let whole = Whole { sweep: false, purge_nodes: false, aws_region: None };
    ClusterConfig::read(&mut Reader::new(&lookup), &whole, &mut Vec::new());
    for variable in VARIABLES {
        let of_the_function = document::OF_THE_FUNCTION.iter().any(|function| function.name == variable.name);
        assert_ne!(of_the_function, asked.borrow().contains(variable.name), "{}", variable.name);
    }
}

#[test]
fn what_the_environment_holds_is_never_printed() {
    let printed = format!("{:?}", document(&[("NOMAD_TOKEN", TOKEN)]));
    assert!(printed.contains("NOMAD_TOKEN") && !printed.contains(TOKEN), "{printed}");
}
