use serde_json::json;

use super::*;
use crate::aws::policy::Document;
use crate::doctor::facts::{Decision, Mapping, Queue, Rule, Topic, Why};
use crate::doctor::judge::scene::{
    FUNCTION, QUEUE, ROLE, TOPIC, check, facts, function_of, group_of, hook, lets, queue, subscription,
    topic, variables,
};

const ABOUT: &str = "workers, nomad-drain-hook";
const RULE: &str = "arn:aws:events:eu-west-1:123456789012:rule/hooks";

fn found(facts: &Facts, code: &str) {
    check(judge(facts), &[&format!("{code} {ABOUT}")]);
}

fn with_topic(change: impl FnOnce(&mut Topic)) -> Facts {
    let mut facts = facts();
    let mut one = topic();
    change(&mut one);
    facts.topics.insert(TOPIC.to_owned(), Fact::Known(Some(one)));
    facts
}

fn with_subscription(change: impl FnOnce(&mut Subscription)) -> Facts {
    let mut one = subscription();
    change(&mut one);
    with_topic(|topic| topic.subscriptions = Fact::Known(vec![one]))
}

fn with_target(target: Option<&str>) -> Facts {
    let mut facts = facts();
    let mut one = hook();
    one.target = target.map(str::to_owned);
    group_of(&mut facts).hooks = Fact::Known(vec![one]);
    facts
}

fn mapping() -> Mapping {
    Mapping {
        id: "14e0db71".to_owned(),
        source: QUEUE.to_owned(),
        state: "Enabled".to_owned(),
        reports_failures: true,
        filters: Vec::new(),
    }
}

/// The hook sends to a queue that the function reads.
fn by_queue(change: impl FnOnce(&mut Mapping)) -> Facts {
    let mut facts = with_target(Some(QUEUE));
    let mut one = mapping();
    change(&mut one);
    facts.queues.insert(QUEUE.to_owned(), Fact::Known(Some(queue())));
    function_of(&mut facts).mappings = Fact::Known(vec![one]);
    facts
}

/// A rule brings the hook's events.
fn by_rule(change: impl FnOnce(&mut Rule)) -> Facts {
    let mut facts = with_target(None);
    let mut rule = Rule {
        name: "hooks".to_owned(),
        arn: RULE.to_owned(),
        enabled: true,
        pattern: Some(
            json!({"source": ["aws.autoscaling"], "detail": {"LifecycleHookName": ["nomad-drain-hook"]}}),
        ),
        target: FUNCTION.to_owned(),
        changes_event: false,
    };
    change(&mut rule);
    facts.rules = Fact::Known(vec![rule]);
    function_of(&mut facts).policy =
        Fact::Known(Some(lets("events.amazonaws.com", "lambda:InvokeFunction", RULE)));
    facts
}

#[test]
fn a_topic_calls_the_function() {
    let way = judge(&facts());
    assert_eq!(way[0].what, "the hook → topic hooks → nomad-drain");
    found(&facts(), "path");
}

#[test]
fn a_topic_has_to_be_there_and_call_the_function() {
    let mut gone = facts();
    gone.topics.insert(TOPIC.to_owned(), Fact::Known(None));
    found(&gone, "target-missing");
    found(&with_topic(|topic| topic.subscriptions = Fact::Known(Vec::new())), "topic-not-subscribed");
    let other = with_subscription(|one| one.endpoint = format!("{FUNCTION}-other"));
    assert!(judge(&other)[0].what.contains("(but nomad-drain-other)"), "{:?}", judge(&other));
    found(&other, "topic-not-subscribed");
    found(&with_subscription(|one| one.pending = true), "subscription-pending");
}

#[test]
fn a_filter_has_to_let_the_hooks_messages_through() {
    let filtered = |policy: &str, is_of_body| {
        let filter = Filter { policy: policy.to_owned(), is_of_body };
        with_subscription(|one| one.filter = Fact::Known(Some(filter)))
    };
    // Auto Scaling's messages have no attributes.
    found(&filtered(r#"{"team":["a"]}"#, false), "subscription-filters-out");
    found(&filtered(r#"{"AutoScalingGroupName":["others"]}"#, true), "subscription-filters-out");
    found(&filtered(r#"{"Destination":["EC2"]}"#, true), "subscription-filters");
    found(&filtered(r#"{"AutoScalingGroupName":["workers"]}"#, true), "path");
}

#[test]
fn a_version_or_alias_has_a_policy_of_its_own() {
    let by_alias = |policy: Option<Document>| {
        let mut facts = with_subscription(|one| one.endpoint = format!("{FUNCTION}:live"));
        let function = function_of(&mut facts);
        function.policy = Fact::Known(None);
        function.qualified.insert("live".to_owned(), Fact::Known(policy));
        facts
    };
    found(&by_alias(Some(lets("sns.amazonaws.com", "lambda:InvokeFunction", TOPIC))), "path");
    let closed = by_alias(None);
    let finding = &judge(&closed)[0];
    assert!(finding.what.contains("live of function nomad-drain"), "{finding:?}");
    assert!(finding.command.as_ref().unwrap().contains("--qualifier live "), "{finding:?}");
    found(&closed, "function-permission-missing");
}

#[test]
fn whoever_sends_has_to_be_let_by_the_key() {
    let own = "arn:aws:kms:eu-west-1:123456789012:key/4ecd4bd5-6b1b-4b2b-9a5a-6a4b1f6a9d2e";
    let topic = |key: &str| with_topic(|topic| topic.kms_key = Some(key.to_owned()));
    // AWS's own keys admit the account's roles, and no services.
    found(&topic("alias/aws/sns"), "path");
    found(&topic(own), "not-checked");
    let by_topic_and_queue = |key: &str| {
        let mut facts = with_subscription(|one| {
            one.protocol = "sqs".to_owned();
            one.endpoint = QUEUE.to_owned();
        });
        let encrypted = Queue { kms_key: Some(key.to_owned()), ..queue() };
        facts.queues.insert(QUEUE.to_owned(), Fact::Known(Some(encrypted)));
        function_of(&mut facts).mappings = Fact::Known(vec![mapping()]);
        facts
    };
    found(&by_topic_and_queue("alias/aws/sqs"), "queue-key-denies");
    found(&by_topic_and_queue(own), "not-checked");
}

#[test]
fn the_function_has_to_let_its_topic_call_it() {
    let mut closed = facts();
    function_of(&mut closed).policy = Fact::Known(None);
    let command = judge(&closed)[0].command.clone().unwrap();
    assert!(command.contains(&format!("--source-arn {TOPIC}")), "{command}");
    found(&closed, "function-permission-missing");
    function_of(&mut closed).policy =
        Fact::Unknown(Why::Denied { permission: "lambda:GetPolicy".to_owned() });
    found(&closed, "not-checked");
}

#[test]
fn the_hooks_role_has_to_be_allowed_to_send() {
    let mut closed = facts();
    let key = (ROLE.to_owned(), TOPIC.to_owned());
    closed.hook_roles.insert(key.clone(), Fact::Known(Decision::NotAllowed));
    found(&closed, "hook-role-cannot-send");
    let denied = Why::Denied { permission: "iam:SimulatePrincipalPolicy".to_owned() };
    closed.hook_roles.insert(key, Fact::Unknown(denied));
    found(&closed, "not-checked");
    let policy = json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "sns:*"}}).to_string();
    found(&with_topic(|topic| topic.policy = Document::parse(&policy)), "target-denies");
}

#[test]
fn a_queue_behind_the_topic_lets_it_send_and_is_read() {
    let by_topic_and_queue = |policy: Option<Document>| {
        let mut facts = with_subscription(|one| {
            one.protocol = "sqs".to_owned();
            one.endpoint = QUEUE.to_owned();
        });
        facts.queues.insert(QUEUE.to_owned(), Fact::Known(Some(Queue { policy, ..queue() })));
        function_of(&mut facts).mappings = Fact::Known(vec![mapping()]);
        facts
    };
    let open = by_topic_and_queue(queue().policy);
    assert_eq!(judge(&open)[0].what, "the hook → topic hooks → queue hooks → nomad-drain");
    found(&open, "path");
    found(&by_topic_and_queue(None), "queue-denies");
}

#[test]
fn a_queue_has_to_be_read_and_failures_reported() {
    found(&by_queue(|_| {}), "path");
    found(&by_queue(|mapping| mapping.source = format!("{QUEUE}-other")), "queue-not-read");
    found(&by_queue(|mapping| mapping.state = "Disabled".to_owned()), "queue-reader-disabled");
    found(&by_queue(|mapping| mapping.reports_failures = false), "batch-failures-not-reported");
    let pattern = r#"{"body":{"team":["a"]}}"#.to_owned();
    found(&by_queue(|mapping| mapping.filters = vec![pattern]), "queue-reader-filters");
    let mut gone = by_queue(|_| {});
    gone.queues.insert(QUEUE.to_owned(), Fact::Known(None));
    found(&gone, "target-missing");
    let mut unknown = by_queue(|_| {});
    function_of(&mut unknown).mappings =
        Fact::Unknown(Why::Denied { permission: "lambda:ListEventSourceMappings".to_owned() });
    found(&unknown, "not-checked");
}

#[test]
fn a_hook_may_call_the_function_itself() {
    let slr = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
    let policy = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": slr}, "Action": "lambda:InvokeFunction"}});
    let mut direct = with_target(Some(FUNCTION));
    found(&direct, "function-permission-missing");
    function_of(&mut direct).policy = Fact::Known(Document::parse(&policy.to_string()));
    found(&direct, "path");
    found(&with_target(Some(&format!("{FUNCTION}-other"))), "target-elsewhere");
    found(&with_target(Some("arn:aws:states:eu-west-1:123456789012:stateMachine:x")), "target-elsewhere");
}

#[test]
fn without_a_target_a_rule_brings_the_events() {
    found(&by_rule(|_| {}), "path");
    found(&by_rule(|rule| rule.enabled = false), "rule-disabled");
    found(&by_rule(|rule| rule.changes_event = true), "rule-changes-event");
    let other = by_rule(|rule| rule.pattern = Some(json!({"source": ["aws.ec2"]})));
    assert!(
        judge(&other)[0].what.ends_with("The pattern of rule hooks does not match them"),
        "{:?}",
        judge(&other)
    );
    found(&other, "rule-missing");
    let mut closed = by_rule(|_| {});
    function_of(&mut closed).policy = Fact::Known(None);
    found(&closed, "function-permission-missing");
    let mut unknown = by_rule(|_| {});
    unknown.rules = Fact::Unknown(Why::Denied { permission: "events:ListRuleNamesByTarget".to_owned() });
    found(&unknown, "not-checked");
}

#[test]
fn queues_and_rules_need_the_sweep() {
    let mut plain = variables(&[("SWEEP", "off")]);
    let mut one = hook();
    one.target = Some(QUEUE.to_owned());
    group_of(&mut plain).hooks = Fact::Known(vec![one]);
    plain.queues.insert(QUEUE.to_owned(), Fact::Known(Some(queue())));
    function_of(&mut plain).mappings = Fact::Known(vec![mapping()]);
    found(&plain, "needs-sweep");
}

#[test]
fn without_the_function_nothing_is_known_of_the_way() {
    let mut facts = facts();
    facts.function = Fact::Known(None);
    check(judge(&facts), &["skipped nomad-drain"]);
    facts.function_name = None;
    facts.function =
        Fact::Unknown(Why::CannotBeKnown { said: "no name".to_owned(), todo: "--function".to_owned() });
    check(judge(&facts), &["not-checked the function"]);
}
