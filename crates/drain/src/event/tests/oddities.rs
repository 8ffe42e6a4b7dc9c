//! What is odd in a message costs what it has to, and not the instance.

use super::*;

#[test]
fn a_field_that_only_describes_is_left_out_when_it_is_odd() {
    let whole = target(&terminating());
    for value in [json!("a:b"), json!("a\tb"), json!(""), json!(7)] {
        let expected = Target { group: None, ..whole.clone() };
        assert_eq!(target(&with("AutoScalingGroupName", value.clone())), expected, "{value}");
    }
    for value in [json!("a hook"), json!({}), json!("é".repeat(1000))] {
        let expected = Target { hook: None, ..whole.clone() };
        assert_eq!(target(&with("LifecycleHookName", value.clone())), expected, "{value}");
    }
    for value in [json!("yesterday"), json!(1_711_164_403), json!(""), json!(true)] {
        let expected = Target { hook_started_at: None, told_at: None, ..whole.clone() };
        assert_eq!(target(&with("Time", value.clone())), expected, "{value}");
    }
    for field in ["Destination", "Action"] {
        for value in [json!(["WarmPool"]), json!({"ReplaceRootVolume": 1}), json!(1), json!(null)] {
            assert_eq!(target(&with(field, value)), whole, "{field}");
        }
    }
}

#[test]
fn a_token_has_36_characters_of_a_uuid_or_is_left_out() {
    let token = |value: Value| target(&with("LifecycleActionToken", value)).token;
    let upper = "465E0162-E6AF-4786-B4E8-BB544AE58790";
    assert_eq!(token(json!(upper)).as_deref(), Some(upper));
    for bad in [
        json!("465e0162-e6af-4786-b4e8-bb544ae5879"),
        json!("465e0162-e6af-4786-b4e8-bb544ae587900"),
        json!("465e0162-e6af-4786-b4e8-bb544ae5879&"),
        json!(" 465e0162-e6af-4786-b4e8-bb544ae5879"),
        json!("éééééééééééééééééé"),
        json!(""),
        json!(7),
        json!(null),
    ] {
        assert_eq!(token(bad.clone()), None, "{bad}");
    }
}

#[test]
fn a_token_is_never_printed() {
    let printed = format!("{:?}", target(&terminating()));
    assert!(printed.contains("token: Some"), "{printed}");
    assert!(!printed.contains("465e0162"), "{printed}");
}

#[test]
fn a_hook_whose_name_cannot_be_read_is_another_hook_once_hooks_are_named() {
    let hooks = [HookName::parse("nomad-drain-hook").unwrap()];
    for name in [json!("nomad-drain-hook "), json!(["nomad-drain-hook"]), json!(null)] {
        match only(&with("LifecycleHookName", name.clone()), Some(&hooks)).unwrap() {
            Message::Ignored(ignored) => assert_eq!(ignored.reason, Reason::OtherHook, "{name}"),
            Message::Target(target, _) => panic!("{name}: {target:?}"),
        }
    }
}

#[test]
fn what_a_message_is_about_is_decided_before_its_names() {
    let odd = |mut message: Value| {
        message["AutoScalingGroupName"] = json!("a:b");
        message["LifecycleHookName"] = json!("a hook");
        message["EC2InstanceId"] = json!(["i-1234abcd"]);
        message
    };
    let launch = with("LifecycleTransition", "autoscaling:EC2_INSTANCE_LAUNCHING");
    assert_eq!(ignored(&odd(launch)), Reason::LaunchTransition);
    assert_eq!(ignored(&odd(json!({"Event": "autoscaling:TEST_NOTIFICATION"}))), Reason::TestNotification);
    let ordinary = json!({"Event": "autoscaling:EC2_INSTANCE_TERMINATE"});
    assert_eq!(ignored(&odd(ordinary)), Reason::GroupNotification);
}

#[test]
fn a_strangers_text_is_short_and_on_one_line() {
    let event = format!("autoscaling:\n{}", "x".repeat(100_000));
    let Message::Ignored(ignored) = only(&json!({ "Event": event }), None).unwrap() else {
        panic!("a target")
    };
    let explanation = ignored.explanation;
    assert!(!explanation.contains('\n') && explanation.len() < 200, "{explanation}");
}

#[test]
fn half_a_surrogate_pair_costs_the_field_that_holds_it() {
    let whole = target(&terminating());
    // No Value can hold one: it is put into the text.
    let with_raw = |field: &str, value: &str| with(field, "PLACE").to_string().replace("\"PLACE\"", value);
    let over_sns_raw = |message: &str| {
        let event = json!({"Records": [{"Sns": {"Subject": "PLACE", "Message": message}}]});
        event.to_string().replace("\"PLACE\"", r#""\udfff""#)
    };
    let read = |text: &str| match only_in(text, None) {
        Ok(Message::Target(target, _)) => target,
        other => panic!("{text}: {other:?}"),
    };
    for unused in ["NotificationMetadata", "Cause", "AccountId"] {
        let message = with_raw(unused, r#""\ud800 and \udc00""#);
        assert_eq!(read(&message), whole, "{unused}");
        assert_eq!(read(&over_sns_raw(&message)), whole, "{unused}");
    }
    let message = with_raw("AutoScalingGroupName", r#""\ud800""#);
    assert_eq!(read(&message), Target { group: None, ..whole });
    let needed = only_in(&with_raw("EC2InstanceId", r#""\ud800""#), None);
    assert!(matches!(needed, Err(EventError::NotAString("EC2InstanceId"))), "{needed:?}");
}

#[test]
fn nothing_is_nested_deeper_than_64_levels() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let nested =
        |levels| with("NotificationMetadata", "PLACE").to_string().replace("\"PLACE\"", &deep(levels));
    assert!(matches!(only_in(&nested(63), None), Ok(Message::Target(_, _))));
    for levels in [64, 100_000] {
        let refused = only_in(&nested(levels), None);
        assert!(matches!(refused, Err(EventError::TooDeep(64))), "{refused:?}");
    }
    let on_a_topic = only(&json!({"Records": [{"Sns": {"Message": deep(100_000)}}]}), None);
    assert!(matches!(on_a_topic, Err(EventError::TooDeep(64))), "{on_a_topic:?}");
    // Brackets in a text are a text.
    assert_eq!(target(&with("NotificationMetadata", "[".repeat(1000))), target(&terminating()));
}

#[test]
fn nothing_is_larger_than_six_mebibytes() {
    let event = with("NotificationMetadata", "x".repeat(6 * 1024 * 1024)).to_string();
    assert!(matches!(parse(&event, &scope(None)), Err(EventError::TooLarge(_))));
}

#[test]
fn nothing_in_a_message_makes_the_parser_panic() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let odd = [
        Value::Null,
        json!(1.5),
        json!({"Records": 1}),
        json!({"Records": [null, 1, "x", {"Sns": {"Message": 5}}]}),
        Value::String(deep),
    ];
    for event in odd {
        match parse(&event.to_string(), &scope(None)) {
            Ok(Event::Messages(parts)) => {
                // A string is a message like one on a topic, where strangers are ignored.
                let messages = parts.iter().flat_map(|part| part.messages.iter().flatten());
                let mut targets = messages.filter(|message| matches!(message, Message::Target(_, _)));
                assert!(targets.next().is_none(), "{event}");
            }
            Ok(Event::Sweep) => panic!("{event}"),
            Err(_) => {}
        }
    }
    for text in ["", "{", "\"\\ud800\"", "{\"a\":\"\\ud800\"}", "[[[["] {
        assert!(parse(text, &scope(None)).is_err(), "{text}");
    }
    for field in [
        "LifecycleHookName",
        "AutoScalingGroupName",
        "EC2InstanceId",
        "LifecycleTransition",
        "Event",
        "Time",
        "Destination",
        "Action",
        "LifecycleActionToken",
    ] {
        for value in [Value::Null, json!({}), json!([]), json!(""), json!("é".repeat(100_000))] {
            let _ = only(&with(field, value), None);
        }
    }
}
