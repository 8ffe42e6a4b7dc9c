//! The deployment, tried: the template, the script and the real package on an AWS that no one here wrote (`ministack`), in
//! front of the lab's Nomad and Auto Scaling: the emulator has no lifecycle actions.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod emulator;
#[path = "../lab/harness.rs"]
#[expect(dead_code, reason = "most of it serves the scenarios")]
mod harness;
#[path = "../suite/mod.rs"]
mod suite;
mod tools;

use std::process::Command;
use std::time::{Duration, Instant};

use drain_lab::lab::{Lab, Worker};
use serde_json::{Value, json};

use emulator::Emulator;
use harness::{completions, ending, eventually, is_held, lab, message_of, slow_service};
use suite::say;
use tools::Tools;

const STACK: &str = "nomad-drain";

/// Names of groups may have what names of policies may not.
const ODD_GROUP: &str = "blue workers/eu (old)";

/// A client's key that is kept as a secret.
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:nomad-key-AbCdEf";

#[test]
fn the_template_says_what_the_documents_say() {
    let Some(tools) = tools() else { return };
    let mut python = Command::new(tools.program("python"));
    let report =
        suite::pass(python.args(["-m", "unittest", "discover"]), &tools::root().join("tests/deploy"));
    report.lines().filter(|line| line.starts_with("deploy tier")).for_each(say);
    say(&format!("deploy tier, templates: {}", suite::summary(&report)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_protects_a_group_from_its_first_minute_to_its_last() {
    let Some(tools) = tools() else { return };
    let lab = lab().await;
    let emulator = Emulator::start(tools, &lab).await;
    emulator.create_group(harness::GROUP);

    let began = Instant::now();
    let key = format!("NomadClientKeyParameter={SECRET}");
    emulator.deploy(STACK, &["Trigger=sns", "NotifyWebhookParameter=ca", &key]);
    everything_that_watches_is_there(&emulator);
    the_role_reads_what_it_was_given(&emulator, &emulator.output("RoleArn"));
    emulator.deploy(STACK, &["Trigger=sns", "NotifyWebhookParameter=", "NomadClientKeyParameter="]);
    what_the_topic_cannot_deliver_is_kept(&emulator);
    by_topic(&lab, &emulator).await;
    the_sweep_finds_what_no_event_told(&lab, &emulator).await;
    told("a topic, and the sweep", began);

    let began = Instant::now();
    what_drains_goes_on_while_the_function_is_replaced(&lab, &emulator).await;
    told("a replacement with Trigger=sqs", began);
    let began = Instant::now();
    by_queue(&lab, &emulator).await;
    what_cannot_be_understood_is_a_dead_letter(&emulator).await;
    told("a queue, and its dead letters", began);

    let began = Instant::now();
    emulator.deploy(STACK, &["Trigger=eventbridge"]);
    other_groups_do_not_reach_the_function(&emulator);
    by_rule(&lab, &emulator).await;
    told("a rule of EventBridge", began);

    let began = Instant::now();
    emulator.deploy(STACK, &["Trigger=direct"]);
    by_hook(&lab, &emulator).await;
    told("the hook itself", began);

    let began = Instant::now();
    what_drains_outlives_the_stack(&lab, &emulator).await;
    told("removal, and a new stack", began);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_steps_by_hand_work_as_they_did_with_the_older_function() {
    let Some(tools) = tools() else { return };
    let lab = lab().await;
    let emulator = Emulator::start(tools, &lab).await;
    emulator.create_group(harness::GROUP);
    // What the older function had: a token under its derived name, a role, a function with ENV and REGION, a topic, a hook.
    emulator.put_token("/prod-aws-us-east-1/broker/secrets/NOMAD_TOKEN");
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let role = emulator.aws(&[
        "iam",
        "create-role",
        "--role-name",
        "drain",
        "--assume-role-policy-document",
        &trust.to_string(),
    ]);
    let variables = json!({"ENV": "prod", "REGION": "us-east-1", "NOMAD_ADDR": lab.nomad_url()});
    let function = emulator.aws(&[
        "lambda",
        "create-function",
        "--function-name",
        "drain",
        "--runtime",
        "provided.al2023",
        "--handler",
        "bootstrap",
        "--timeout",
        "60",
        "--role",
        role["Role"]["Arn"].as_str().unwrap(),
        "--environment",
        &json!({"Variables": variables}).to_string(),
        "--zip-file",
        &format!("fileb://{}", emulator.package().display()),
    ]);
    let topic = emulator.aws(&["sns", "create-topic", "--name", "drain"]);
    let topic = topic["TopicArn"].as_str().unwrap();
    emulator.aws(&[
        "lambda",
        "add-permission",
        "--function-name",
        "drain",
        "--statement-id",
        "sns",
        "--principal",
        "sns.amazonaws.com",
        "--action",
        "lambda:InvokeFunction",
        "--source-arn",
        topic,
    ]);
    emulator.aws(&[
        "sns",
        "subscribe",
        "--topic-arn",
        topic,
        "--protocol",
        "lambda",
        "--notification-endpoint",
        function["FunctionArn"].as_str().unwrap(),
    ]);
    let worker = ending(&lab, 1);
    emulator.aws(&[
        "sns",
        "publish",
        "--topic-arn",
        topic,
        "--message",
        &message_of(&lab, &worker).to_string(),
    ]);
    released(&lab, &worker).await;
    say("deploy tier: the five steps by hand, with this package");
    // The stack in its place: topic and hook stay as they are.
    let existing = format!("ExistingTopicArn={topic}");
    let groups = format!("{},{ODD_GROUP}", harness::GROUP);
    emulator.deploy_for("moved", &groups, &["Trigger=sns", &existing, "CreateLifecycleHooks=false"]);
    the_role_may_complete_hooks_of(&emulator, &[harness::GROUP, ODD_GROUP]);
    emulator.aws(&["lambda", "delete-function", "--function-name", "drain"]);
    let worker = ending(&lab, 2);
    emulator.aws(&[
        "sns",
        "publish",
        "--topic-arn",
        topic,
        "--message",
        &message_of(&lab, &worker).to_string(),
    ]);
    released(&lab, &worker).await;
    let hooks = emulator.aws(&[
        "autoscaling",
        "describe-lifecycle-hooks",
        "--auto-scaling-group-name",
        harness::GROUP,
    ]);
    assert_eq!(hooks["LifecycleHooks"], json!([]), "hooks are not ours");
    say("deploy tier: the stack on a topic that was there");
}

/// A worker that runs something, and ends.
fn busy(lab: &Lab, number: u8, stops_in: Duration) -> (Worker, Value) {
    lab.nomad.add_job(slow_service(stops_in));
    let worker = ending(lab, number);
    let message = message_of(lab, &worker);
    (worker, message)
}

/// Tells the function of a worker until it has been released: an event may get lost on its way through the emulator right after a
/// replacement, as it may in `EventBridge`, and one that comes twice does no harm.
async fn released_once_told(lab: &Lab, worker: &Worker, tell: impl Fn()) {
    for _ in 0..5 {
        tell();
        let patience = tokio::time::Instant::now() + Duration::from_secs(15);
        while completions(lab, worker).is_empty() && tokio::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if !completions(lab, worker).is_empty() {
            break;
        }
    }
    released(lab, worker).await;
}

async fn released(lab: &Lab, worker: &Worker) {
    eventually("its lifecycle action is completed", || !completions(lab, worker).is_empty()).await;
    assert_eq!(completions(lab, worker).len(), 1);
    harness::last_end(lab, worker);
    assert!(lab.node(worker).unwrap().last_drain.is_some());
}

/// Sweeps until a worker has been released.
async fn swept_until_released(lab: &Lab, emulator: &Emulator, worker: &Worker) {
    let sweep = emulator.output("SweepFunctionArn");
    let give_up = Instant::now() + Duration::from_mins(3);
    while completions(lab, worker).is_empty() {
        assert!(Instant::now() < give_up, "nobody went on with it");
        emulator.invoke(&sweep, &json!({"action": "sweep"}));
    }
    released(lab, worker).await;
}

fn drains(lab: &Lab, worker: &Worker) -> bool {
    lab.node(worker).is_some_and(|node| node.drain.is_some())
}

fn everything_that_watches_is_there(emulator: &Emulator) {
    let alarms = emulator.aws(&["cloudwatch", "describe-alarms"]);
    let alarms = alarms["MetricAlarms"].as_array().unwrap();
    let names: Vec<&str> = alarms.iter().map(|alarm| alarm["AlarmName"].as_str().unwrap()).collect();
    for name in
        ["SweepMissing", "HeldTooLong", "DrainsTimedOut", "AllocationsForced", "DeadLetters", "ErrorRate"]
    {
        assert!(names.contains(&format!("{STACK}-{name}").as_str()), "{names:?}");
    }
    let dashboard = emulator.aws(&["cloudwatch", "get-dashboard", "--dashboard-name", STACK]);
    assert!(dashboard["DashboardBody"].as_str().unwrap().contains("HeldInstances"));
    let hooks = emulator.aws(&[
        "autoscaling",
        "describe-lifecycle-hooks",
        "--auto-scaling-group-name",
        harness::GROUP,
    ]);
    let hook = &hooks["LifecycleHooks"][0];
    assert_eq!(
        (&hook["LifecycleHookName"], &hook["DefaultResult"], &hook["HeartbeatTimeout"]),
        (&json!("nomad-drain-hook"), &json!("CONTINUE"), &json!(300))
    );
    let rules = emulator.aws(&["events", "list-rules"]);
    let rules = rules["Rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["ScheduleExpression"] == "rate(1 minute)"), "{rules:?}");
}

/// The role as it was made: what a parameter's name and an ARN become.
fn the_role_reads_what_it_was_given(emulator: &Emulator, role: &str) {
    let name = role.rsplit('/').next().unwrap();
    let policy =
        emulator.aws(&["iam", "get-role-policy", "--role-name", name, "--policy-name", "nomad-drain"]);
    let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
    let read = statements.iter().filter(|one| one["Action"].to_string().contains("ssm:GetParameter"));
    let resources: Vec<&str> =
        read.flat_map(|one| one["Resource"].as_array().unwrap()).filter_map(Value::as_str).collect();
    let parameter = |name: &str| format!("arn:aws:ssm:us-east-1:000000000000:parameter/{name}");
    for expected in [parameter("nomad-drain/token"), parameter("ca"), SECRET.to_owned()] {
        assert!(resources.contains(&expected.as_str()), "{expected}: {resources:?}");
    }
}

/// The hooks of each group by its name, in a policy whose name IAM takes.
fn the_role_may_complete_hooks_of(emulator: &Emulator, groups: &[&str]) {
    let role = emulator.output("RoleArn");
    let role = role.rsplit('/').next().unwrap();
    let policies = emulator.aws(&["iam", "list-role-policies", "--role-name", role]);
    let names = policies["PolicyNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let mut resources = Vec::new();
    for name in names {
        assert!(name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_+=,.@-".contains(sign)), "{name}");
        let policy = emulator.aws(&["iam", "get-role-policy", "--role-name", role, "--policy-name", name]);
        let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap().clone();
        let of_hooks = |one: &Value| one["Action"].to_string().contains("CompleteLifecycleAction");
        resources.extend(
            statements.into_iter().filter(of_hooks).map(|one| one["Resource"].as_str().unwrap().to_owned()),
        );
    }
    resources.sort_unstable();
    let mut expected: Vec<String> = groups
        .iter()
        .map(|group| {
            format!(
                "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:*:autoScalingGroupName/{group}"
            )
        })
        .collect();
    expected.sort_unstable();
    assert_eq!(resources, expected);
}

fn what_the_topic_cannot_deliver_is_kept(emulator: &Emulator) {
    let subscriptions =
        emulator.aws(&["sns", "list-subscriptions-by-topic", "--topic-arn", &emulator.output("TopicArn")]);
    let subscription = subscriptions["Subscriptions"][0]["SubscriptionArn"].as_str().unwrap();
    let attributes =
        emulator.aws(&["sns", "get-subscription-attributes", "--subscription-arn", subscription]);
    let redrive = attributes["Attributes"]["RedrivePolicy"].as_str().unwrap();
    let dead_letters = emulator.output("DeadLettersUrl");
    assert!(redrive.contains(dead_letters.rsplit('/').next().unwrap()), "{redrive}");
}

/// What `EventBridge` itself says of an event of our group, and of one of another.
fn other_groups_do_not_reach_the_function(emulator: &Emulator) {
    let rules = emulator.aws(&["events", "list-rules"]);
    let of_hooks = |rule: &&Value| rule["EventPattern"].to_string().contains("aws.autoscaling");
    let rule = rules["Rules"].as_array().unwrap().iter().find(of_hooks).unwrap();
    for (group, expected) in [(harness::GROUP, true), ("somebody-elses", false)] {
        let event = json!({
            "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602", "account": "000000000000", "region": "us-east-1",
            "time": "2026-08-01T10:00:00Z", "resources": [], "source": "aws.autoscaling",
            "detail-type": "EC2 Instance-terminate Lifecycle Action",
            "detail": {"AutoScalingGroupName": group, "LifecycleHookName": "nomad-drain-hook"},
        });
        let answer = emulator.aws(&[
            "events",
            "test-event-pattern",
            "--event-pattern",
            rule["EventPattern"].as_str().unwrap(),
            "--event",
            &event.to_string(),
        ]);
        assert_eq!(answer["Result"], json!(expected), "{group}: {rule}");
    }
}

async fn by_topic(lab: &Lab, emulator: &Emulator) {
    let (worker, message) = busy(lab, 1, Duration::from_millis(500));
    let tell = || {
        emulator.aws(&[
            "sns",
            "publish",
            "--topic-arn",
            &emulator.output("TopicArn"),
            "--message",
            &message.to_string(),
        ]);
    };
    released_once_told(lab, &worker, tell).await;
}

async fn the_sweep_finds_what_no_event_told(lab: &Lab, emulator: &Emulator) {
    let worker = ending(lab, 2);
    let answer = emulator.invoke(&emulator.output("SweepFunctionArn"), &json!({"action": "sweep"}));
    assert_eq!((&answer["groups"], &answer["held"]), (&json!(1), &json!(1)), "{answer}");
    released(lab, &worker).await;
}

/// The same command once more is an upgrade: here with another trigger, so that much is replaced.
async fn what_drains_goes_on_while_the_function_is_replaced(lab: &Lab, emulator: &Emulator) {
    let (worker, message) = busy(lab, 3, Duration::from_secs(20));
    emulator.aws(&[
        "sns",
        "publish",
        "--topic-arn",
        &emulator.output("TopicArn"),
        "--message",
        &message.to_string(),
    ]);
    eventually("it drains", || drains(lab, &worker)).await;
    emulator.deploy(STACK, &["Trigger=sqs"]);
    swept_until_released(lab, emulator, &worker).await;
}

async fn by_queue(lab: &Lab, emulator: &Emulator) {
    let (worker, message) = busy(lab, 4, Duration::from_millis(500));
    let tell = || {
        emulator.aws(&[
            "sqs",
            "send-message",
            "--queue-url",
            &emulator.queue_url(),
            "--message-body",
            &message.to_string(),
        ]);
    };
    released_once_told(lab, &worker, tell).await;
}

async fn what_cannot_be_understood_is_a_dead_letter(emulator: &Emulator) {
    let queue = emulator.queue_url();
    // Nobody waits six minutes for each of five attempts.
    emulator.aws(&[
        "sqs",
        "set-queue-attributes",
        "--queue-url",
        &queue,
        "--attributes",
        "VisibilityTimeout=1",
    ]);
    emulator.aws(&["sqs", "send-message", "--queue-url", &queue, "--message-body", "what is this"]);
    let dead_letters = emulator.output("DeadLettersUrl");
    let count = || {
        let attributes = emulator.aws(&[
            "sqs",
            "get-queue-attributes",
            "--queue-url",
            &dead_letters,
            "--attribute-names",
            "ApproximateNumberOfMessages",
        ]);
        attributes["Attributes"]["ApproximateNumberOfMessages"].as_str().unwrap().to_owned()
    };
    eventually("it is given up", || count() == "1").await;
}

async fn by_rule(lab: &Lab, emulator: &Emulator) {
    let (worker, mut detail) = busy(lab, 5, Duration::from_millis(500));
    for of_other_ways in ["Time", "RequestId", "Service", "AccountId"] {
        detail.as_object_mut().unwrap().remove(of_other_ways);
    }
    let entry = json!([{
        "Source": "aws.autoscaling", "DetailType": "EC2 Instance-terminate Lifecycle Action", "Detail": detail.to_string(),
    }]);
    let tell = || {
        emulator.aws(&["events", "put-events", "--entries", &entry.to_string()]);
    };
    released_once_told(lab, &worker, tell).await;
}

async fn by_hook(lab: &Lab, emulator: &Emulator) {
    let (worker, message) = busy(lab, 6, Duration::from_millis(500));
    let tell = || {
        emulator.send(&emulator.output("EventsFunctionArn"), &message);
    };
    released_once_told(lab, &worker, tell).await;
}

async fn what_drains_outlives_the_stack(lab: &Lab, emulator: &Emulator) {
    let (worker, message) = busy(lab, 7, Duration::from_secs(30));
    emulator.send(&emulator.output("EventsFunctionArn"), &message);
    eventually("it drains", || drains(lab, &worker)).await;
    emulator.delete(STACK);
    assert!(is_held(lab, &worker), "the hook holds it until its time-out");
    let node = lab.node(&worker).unwrap();
    let drain = node.last_drain.unwrap();
    assert_eq!(drain.meta["managed-by"], "nomad-drain", "the drain goes on, and tells whose it is");
    emulator.deploy(STACK, &["Trigger=sns"]);
    swept_until_released(lab, emulator, &worker).await;
    assert_eq!(harness::effects(lab, "drain started", &worker.node_id).len(), 1, "it was not begun again");
}

fn tools() -> Option<Tools> {
    match Tools::ready() {
        Ok(tools) => Some(tools),
        Err(why) => {
            say(&format!("deploy tier skipped: {why}"));
            None
        }
    }
}

fn told(what: &str, since: Instant) {
    say(&format!("deploy tier: {what} ({:.0} s)", since.elapsed().as_secs_f32()));
}
