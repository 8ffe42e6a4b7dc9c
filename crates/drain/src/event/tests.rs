//! Messages as they arrive, and what is made of them. The payloads follow real ones.

use drain_core::observation::{Cause, Errand, Origin};
use serde_json::{Value, json};

use super::*;

mod oddities;

fn terminating() -> Value {
    json!({
        "Origin": "AutoScalingGroup", "Destination": "EC2",
        "LifecycleHookName": "nomad-drain-hook", "AccountId": "123456789012",
        "RequestId": "f02639a5-62b9-0772-d50e-09647ae07b49",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "AutoScalingGroupName": "workers", "Service": "AWS Auto Scaling",
        "Time": "2024-03-23T03:26:43.904Z", "EC2InstanceId": "i-05629ab7d9287e205",
        "LifecycleActionToken": "465e0162-e6af-4786-b4e8-bb544ae58790",
    })
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut message = terminating();
    message[field] = value.into();
    message
}

fn without(field: &str) -> Value {
    let mut message = terminating();
    message.as_object_mut().unwrap().remove(field);
    message
}

fn over_sns(message: &Value) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0",
        "Sns": {"Type": "Notification", "Subject": "Auto Scaling:  Lifecycle action 'TERMINATING' …",
                "Message": message.to_string(), "MessageAttributes": {}}}]})
}

/// Everything that can be asked for is asked for, for these hooks only.
fn scope(hooks: Option<&[HookName]>) -> Scope<'_> {
    Scope {
        hooks,
        bus_hooks: hooks.unwrap_or_default(),
        launch_hook: None,
        rebalance: true,
        scheduled_change: true,
        purge: true,
    }
}

fn only(event: &Value, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    only_in(&event.to_string(), hooks)
}

fn only_in(event: &str, hooks: Option<&[HookName]>) -> Result<Message, EventError> {
    let Event::Messages(mut deliveries) = parse(event, &scope(hooks))? else { panic!("a sweep: {event}") };
    assert_eq!(deliveries.len(), 1);
    let mut messages = deliveries.remove(0).messages?;
    assert_eq!(messages.len(), 1);
    Ok(messages.remove(0))
}

#[track_caller]
fn target(event: &Value) -> Target {
    match only(event, None).unwrap() {
        Message::Target(target, _) => target,
        Message::Ignored(ignored) => panic!("ignored: {ignored:?}"),
    }
}

#[track_caller]
fn ignored(event: &Value) -> Reason {
    match only(event, None).unwrap() {
        Message::Target(target, _) => panic!("not ignored: {target:?}"),
        Message::Ignored(ignored) => ignored.reason,
    }
}

#[test]
fn a_terminating_instance_is_a_target_in_every_envelope() {
    let expected = Target {
        instance: InstanceId::parse("i-05629ab7d9287e205").unwrap(),
        group: Some(GroupName::parse("workers").unwrap()),
        hook: Some(HookName::parse("nomad-drain-hook").unwrap()),
        errand: Errand::Drain(Cause::Terminate),
        told_at: Some("2024-03-23T03:26:43.904Z".parse().unwrap()),
        hook_started_at: Some("2024-03-23T03:26:43.904Z".parse().unwrap()),
        origin: Origin::Event,
        token: Some("465e0162-e6af-4786-b4e8-bb544ae58790".to_owned()),
    };
    let message = terminating();
    assert_eq!(target(&message), expected);
    assert_eq!(target(&over_sns(&message)), expected);
    assert_eq!(target(&Value::String(message.to_string())), expected);
}

#[test]
fn an_old_message_without_origin_time_and_group_is_enough() {
    let message =
        json!({"LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "EC2InstanceId": "i-1234abcd"});
    let target = target(&message);
    assert_eq!(target.cause(), Some(Cause::Terminate));
    assert_eq!((target.group, target.hook, target.hook_started_at), (None, None, None));
    assert_eq!(target.token, None);
}

#[test]
fn an_instance_that_comes_back_is_drained_with_its_own_cause() {
    assert_eq!(target(&with("Destination", "WarmPool")).cause(), Some(Cause::WarmPool));
    assert_eq!(target(&with("Action", "ReplaceRootVolume")).cause(), Some(Cause::RootVolume));
}

#[test]
fn a_schedule_and_an_order_ask_for_a_sweep() {
    let scheduled = |source| {
        json!({"version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event", "source": source, "account": "123456789012",
        "time": "2026-03-01T12:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/sweep"], "detail": {}})
    };
    let order = json!({"action": "sweep"});
    for event in [
        order.clone(),
        json!({"action": "sweep", "comment": "every minute"}),
        Value::String(order.to_string()),
        scheduled("aws.events"),
        scheduled("aws.scheduler"),
    ] {
        assert!(matches!(parse(&event.to_string(), &scope(None)), Ok(Event::Sweep)), "{event}");
    }
    assert_eq!(ignored(&scheduled("my.own")), Reason::ForeignMessage);
}

#[test]
fn a_topic_cannot_order_a_sweep() {
    assert_eq!(ignored(&over_sns(&json!({"action": "sweep"}))), Reason::ForeignMessage);
}

#[test]
fn messages_that_are_not_about_an_end_are_ignored_by_name() {
    let test = json!({"AccountId": "1", "AutoScalingGroupName": "ha_ctrl", "Service": "AWS Auto Scaling",
        "Event": "autoscaling:TEST_NOTIFICATION", "Time": "2018-05-14T22:39:45.555Z"});
    assert_eq!(ignored(&over_sns(&test)), Reason::TestNotification);
    assert_eq!(ignored(&test), Reason::TestNotification);
    let launch = with("LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING");
    assert_eq!(ignored(&over_sns(&launch)), Reason::LaunchTransition);
    let ordinary = json!({"Event": "autoscaling:EC2_INSTANCE_TERMINATE", "EC2InstanceId": "i-1234abcd",
        "Service": "AWS Auto Scaling", "Cause": "At 2026-…", "StatusCode": "InProgress"});
    assert_eq!(ignored(&over_sns(&ordinary)), Reason::GroupNotification);
    assert_eq!(
        ignored(&over_sns(&json!({"AlarmName": "cpu", "NewStateValue": "ALARM"}))),
        Reason::ForeignMessage
    );
}

#[test]
fn only_the_named_hooks_are_ours() {
    let hooks = [HookName::parse("a").unwrap(), HookName::parse("nomad-drain-hook").unwrap()];
    assert!(matches!(only(&terminating(), Some(&hooks)).unwrap(), Message::Target(_, _)));
    for message in [with("LifecycleHookName", "deregister"), without("LifecycleHookName")] {
        let Message::Ignored(ignored) = only(&message, Some(&hooks)).unwrap() else { panic!("{message}") };
        assert_eq!(ignored.reason, Reason::OtherHook);
        assert_eq!(ignored.instance.unwrap().as_str(), "i-05629ab7d9287e205");
    }
}

#[test]
fn one_bad_record_does_not_hide_the_others() {
    let mut event = over_sns(&terminating());
    event["Records"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"EventSource": "aws:sns", "Sns": {"Message": "{"}}));
    let Event::Messages(parts) = parse(&event.to_string(), &scope(None)).unwrap() else { panic!("a sweep") };
    assert!(parts[0].messages.is_err());
    assert!(matches!(parts[1].messages.as_deref(), Ok([Message::Target(_, _)])));
}

#[test]
fn what_cannot_be_understood_is_named() {
    let told = |event: &Value| {
        let error = only(event, None).unwrap_err();
        crate::error::Causes(&error).to_string()
    };
    let cases = [
        json!({}),
        json!([1]),
        json!({"Records": []}),
        json!({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}),
        json!({"detail-type": "Something", "source": "aws.somewhere"}),
        over_sns(&json!("a string")),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "not json"}}]}),
        without("EC2InstanceId"),
        with("EC2InstanceId", "i-12345678; drop"),
        with("EC2InstanceId", 7),
        without("LifecycleTransition"),
        with("LifecycleTransition", "autoscaling:EC2_INSTANCE_DANCING"),
        with("LifecycleTransition", 7),
        with("LifecycleTransition", format!("line\nline {}", "é".repeat(1000))),
        json!({"Event": ["autoscaling:TEST_NOTIFICATION"], "Service": "AWS Auto Scaling"}),
        json!({"Records": [{"EventSource": format!("a\nb{}", "c".repeat(1000))}]}),
        json!({"Records": [5]}),
        json!({format!("a\nb{}", "c".repeat(1000)): 1}),
        json!({"action": "clean"}),
        json!({"action": format!("a\nb{}", "c".repeat(1000))}),
        json!({"action": ["sweep"]}),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|event| match only(event, None) {
            Ok(message) => format!("{message:?}"),
            Err(_) => told(event),
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}
