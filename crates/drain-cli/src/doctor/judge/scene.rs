//! A world in which everything is as it should be, for tests to break one thing at a time.

use std::collections::BTreeMap;

use drain::aws::autoscaling::{Group, Hook};
use drain::config::Config;
use drain_core::ids::{GroupName, HookName, InstanceId};
use drain_core::policy::ActionResult;
use jiff::{SignedDuration, Timestamp};
use nomad_client::{NamespaceRule, Policy, PolicyRules, TokenSelf};

use crate::aws::policy::Document;
use crate::doctor::facts::{
    Caller, Certificate, ClusterFacts, Configuration, Decision, Fact, Facts, Found, Function, Granted,
    GroupFacts, Home, NodeFacts, Queue, Reached, Schedule, Server, Subscription, Sweeps, TokenAnswer,
    TokenFacts, Topic, Trouble, TroubleKind,
};
use crate::doctor::finding::Finding;
use crate::doctor::needed::Needed;

pub(super) const NOW: &str = "2026-03-01T12:00:00Z";
pub(super) const NOMAD: &str = "https://nomad.example:4646";
pub(super) const TOKEN: &str = "the token in SSM parameter /nomad/token";
pub(super) const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:nomad-drain";
pub(super) const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:hooks";
pub(super) const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:hooks";
pub(super) const SWEEP_RULE: &str = "arn:aws:events:eu-west-1:123456789012:rule/nomad-drain-sweep";
pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/nomad-drain-hook";

/// The moment at which everything is looked at.
pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Everything as it should be: a sweep, a hook that reaches the function by a topic.
pub(in crate::doctor) fn facts() -> Facts {
    variables(&[])
}

/// The same with these variables.
pub(super) fn variables(set: &[(&str, &str)]) -> Facts {
    let lookup = |name: &str| {
        let usual = [
            ("NOMAD_ADDR", NOMAD),
            ("NOMAD_TOKEN_PARAMETER", "/nomad/token"),
            ("AWS_REGION", "eu-west-1"),
            ("SWEEP", "on"),
        ];
        let found = set.iter().chain(&usual).find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let config = Config::parse(lookup).unwrap();
    let cluster = config.cluster().cloned();
    let configuration = Configuration {
        config: Box::new(config),
        origin: "the environment".to_owned(),
        overridden: Vec::new(),
        document_problems: Vec::new(),
        document_missing: None,
    };
    let caller = Caller {
        account: "123456789012".to_owned(),
        arn: "arn:aws:iam::123456789012:user/operator".to_owned(),
        region: "eu-west-1".to_owned(),
    };
    let cluster = cluster.map(|config| ClusterFacts {
        name: None,
        leader: Reached::Leader("10.0.0.1:4647".to_owned()),
        servers: Fact::Known(vec![server("s1"), server("s2"), server("s3")]),
        shown: Some(Fact::Known(vec![certificate(365)])),
        own: None,
        token: TokenFacts {
            description: config.token.description(),
            in_variable: false,
            token: Fact::Known(TokenAnswer::Is {
                token: Box::new(token()),
                policies: Fact::Known(policies()),
            }),
        },
        config,
    });
    Facts {
        configuration: Fact::Known(Ok(configuration)),
        caller: Fact::Known(caller),
        function: Fact::Known(Some(function())),
        function_name: Some("nomad-drain".to_owned()),
        groups: Fact::Known(vec![group()]),
        topics: BTreeMap::from([(TOPIC.to_owned(), Fact::Known(Some(topic())))]),
        queues: BTreeMap::new(),
        rules: Fact::Known(Vec::new()),
        hook_roles: BTreeMap::from([((ROLE.to_owned(), TOPIC.to_owned()), Fact::Known(Decision::Allowed))]),
        permissions: Fact::Known(vec![Granted {
            needed: Needed { action: "ssm:GetParameter".to_owned(), resource: "*".to_owned(), vital: true },
            decision: Decision::Allowed,
        }]),
        clusters: Fact::Known(cluster.into_iter().collect()),
        sweeps: Sweeps {
            counted: Fact::Known(Some(minutes_ago(1))),
            schedules: Fact::Known(vec![schedule()]),
        },
    }
}

/// A moment before that at which everything is looked at.
pub(super) fn minutes_ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

/// The sweep's schedule.
pub(super) fn schedule() -> Schedule {
    Schedule {
        rule: "nomad-drain-sweep".to_owned(),
        arn: SWEEP_RULE.to_owned(),
        expression: "rate(1 minute)".to_owned(),
        enabled: true,
        function: "nomad-drain-sweep".to_owned(),
        policy: Fact::Known(Some(lets("events.amazonaws.com", "lambda:InvokeFunction", SWEEP_RULE))),
        ran: Fact::Known(Some(minutes_ago(1))),
        succeeded: Fact::Known(Some(minutes_ago(1))),
    }
}

fn server(name: &str) -> Server {
    Server { name: format!("{name}.global"), version: "1.10.5".to_owned() }
}

pub(super) fn hook() -> Hook {
    Hook {
        name: HookName::parse("nomad-drain-hook").unwrap(),
        terminating: true,
        heartbeat_timeout: SignedDuration::from_secs(300),
        global_timeout: SignedDuration::from_secs(30_000),
        default_result: ActionResult::Continue,
        metadata: None,
        target: Some(TOPIC.to_owned()),
        role: Some(ROLE.to_owned()),
    }
}

fn group() -> GroupFacts {
    let instance = InstanceId::parse("i-0123456789abcdef0").unwrap();
    let name = GroupName::parse("workers").unwrap();
    let node = NodeFacts { id: "4ecd4bd5".to_owned(), name: "worker-1".to_owned(), is_silent: false };
    GroupFacts {
        name: name.clone(),
        group: Fact::Known(Some(Group {
            name,
            arn: "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1:autoScalingGroupName/workers"
                .to_owned(),
            tags: BTreeMap::from([("nomad-drain".to_owned(), "on".to_owned())]),
            has_warm_pool: false,
            waiting: Vec::new(),
            in_service: vec![instance.clone()],
            retains_abandoned: false,
            service_linked_role: None,
        })),
        watched: true,
        home: Home::Of(0),
        hooks: Fact::Known(vec![hook()]),
        nodes: Fact::Known(BTreeMap::from([(instance, Found::ByAttribute(vec![node]))])),
    }
}

/// The one group.
pub(super) fn group_of(facts: &mut Facts) -> &mut GroupFacts {
    let Fact::Known(groups) = &mut facts.groups else { panic!("no groups") };
    &mut groups[0]
}

/// The one cluster.
pub(super) fn cluster_of(facts: &mut Facts) -> &mut ClusterFacts {
    let Fact::Known(clusters) = &mut facts.clusters else { panic!("no clusters") };
    &mut clusters[0]
}

/// The function.
pub(super) fn function_of(facts: &mut Facts) -> &mut Function {
    let Fact::Known(Some(function)) = &mut facts.function else { panic!("no function") };
    function
}

pub(super) fn function() -> Function {
    Function {
        name: "nomad-drain".to_owned(),
        arn: FUNCTION.to_owned(),
        role: "arn:aws:iam::123456789012:role/nomad-drain".to_owned(),
        state: "Active".to_owned(),
        state_reason: String::new(),
        timeout: SignedDuration::from_secs(60),
        in_vpc: false,
        reserved_concurrency: Fact::Known(None),
        policy: Fact::Known(Some(lets("sns.amazonaws.com", "lambda:InvokeFunction", TOPIC))),
        qualified: BTreeMap::new(),
        mappings: Fact::Known(Vec::new()),
        has_dead_letters: Fact::Known(true),
    }
}

/// A policy that lets a service do something for a source.
pub(super) fn lets(service: &str, action: &str, source: &str) -> Document {
    let statement = serde_json::json!({"Statement": {
        "Effect": "Allow", "Principal": {"Service": service}, "Action": action,
        "Condition": {"ArnLike": {"AWS:SourceArn": source}},
    }});
    Document::parse(&statement.to_string()).unwrap()
}

pub(super) fn topic() -> Topic {
    Topic { policy: None, kms_key: None, subscriptions: Fact::Known(vec![subscription()]) }
}

pub(super) fn subscription() -> Subscription {
    Subscription {
        arn: format!("{TOPIC}:f4fdba36-a856-4dde-ad38-99aa1190c534"),
        protocol: "lambda".to_owned(),
        endpoint: FUNCTION.to_owned(),
        pending: false,
        filter: Fact::Known(None),
    }
}

pub(super) fn queue() -> Queue {
    Queue {
        visibility_timeout: SignedDuration::from_secs(360),
        max_receive_count: Some(5),
        dead_letters_exist: Fact::Known(true),
        kms_key: None,
        policy: Some(lets("sns.amazonaws.com", "sqs:SendMessage", TOPIC)),
    }
}

/// A certificate that ends in so many days.
pub(super) fn certificate(days: i64) -> Certificate {
    Certificate {
        subject: "CN=server.global.nomad".to_owned(),
        names: vec!["server.global.nomad".to_owned(), "localhost".to_owned()],
        issuer: "CN=Nomad Agent CA".to_owned(),
        not_after: now() + SignedDuration::from_hours(days * 24 + 1),
    }
}

/// An answer that did not come.
pub(super) fn trouble(kind: TroubleKind) -> Reached {
    let (said, todo) = ("it failed".to_owned(), "Do something.".to_owned());
    Reached::Failed(Trouble { kind, said, todo })
}

pub(super) fn token() -> TokenSelf {
    TokenSelf {
        accessor_id: "44e2a298-63c2-7158-ed88-1dbe542a5d68".to_owned(),
        token_type: "client".to_owned(),
        policies: vec!["nomad-drain".to_owned()],
        roles: Vec::new(),
        expiration_time: None,
    }
}

pub(super) fn policies() -> Vec<Policy> {
    let every = NamespaceRule {
        name: "*".to_owned(),
        capabilities: vec!["read-job".to_owned()],
        ..NamespaceRule::default()
    };
    let rules = PolicyRules { namespaces: vec![every], node: Some("write".to_owned()), agent: None };
    vec![Policy { name: "nomad-drain".to_owned(), rules }]
}

/// Compares findings with `code about`, in order; and sees that each says what to do, unless nothing is to be done.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "every caller has just made them")]
pub(super) fn check(found: Vec<Finding>, expected: &[&str]) {
    use crate::doctor::code::Severity;
    let said: Vec<String> =
        found.iter().map(|finding| format!("{} {}", finding.code, finding.about)).collect();
    assert_eq!(said, expected, "{found:#?}");
    for finding in &found {
        let calls_for_action = matches!(finding.severity(), Severity::Error | Severity::Warning);
        assert!(!calls_for_action || finding.todo.is_some(), "says nothing to do: {finding:?}");
        assert!(!finding.what.contains('\n'), "more than one line: {finding:?}");
    }
}
