//! One message in every envelope.

use super::*;

fn notification(journey: Journey, target: NotificationTarget) -> Notification {
    let started_at: Timestamp = "2024-03-23T03:26:43.904Z".parse().unwrap();
    let hook = LifecycleHook { target, ..LifecycleHook::terminating("nomad-drain-hook") };
    let action = LifecycleAction {
        token: "465e0162-e6af-4786-b4e8-bb544ae58790".into(),
        group: "workers".into(),
        hook: hook.name.clone(),
        instance_id: "i-05629ab7d9287e205".into(),
        started_at,
        heartbeat_deadline: started_at,
        global_deadline: started_at,
        heartbeats: 0,
    };
    let request_id = "f02639a5-62b9-0772-d50e-09647ae07b49".into();
    Notification::held(&Arc::default(), "arn:group", request_id, journey, &hook, &action)
}

#[test]
fn a_function_behind_sns_gets_the_envelope_of_sns() {
    let topic_arn = "arn:aws:sns:us-east-1:123456789012:drain".to_owned();
    let payload =
        notification(Journey::Terminate, NotificationTarget::Sns { topic_arn }).lambda_payload().unwrap();
    let sns = &payload["Records"][0]["Sns"];
    assert_eq!(payload["Records"][0]["EventSource"], "aws:sns");
    assert_eq!(
        sns["Subject"],
        "Auto Scaling:  Lifecycle action 'TERMINATING' for instance i-05629ab7d9287e205 in progress."
    );
    let message: Value = serde_json::from_str(sns["Message"].as_str().unwrap()).unwrap();
    assert_eq!(
        message,
        json!({
            "Origin": "AutoScalingGroup",
            "LifecycleHookName": "nomad-drain-hook",
            "Destination": "EC2",
            "AccountId": "123456789012",
            "RequestId": "f02639a5-62b9-0772-d50e-09647ae07b49",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "AutoScalingGroupName": "workers",
            "Service": "AWS Auto Scaling",
            "Time": "2024-03-23T03:26:43.904Z",
            "EC2InstanceId": "i-05629ab7d9287e205",
            "LifecycleActionToken": "465e0162-e6af-4786-b4e8-bb544ae58790",
        })
    );
}

#[test]
fn event_bridge_hears_the_same_in_its_own_words() {
    let notification = notification(Journey::Terminate, NotificationTarget::None);
    assert_eq!(notification.lambda_payload(), None);
    assert_eq!(
        notification.event_bridge_event().unwrap(),
        json!({
            "version": "0",
            "id": "f02639a5-62b9-0772-d50e-09647ae07b49",
            "detail-type": "EC2 Instance-terminate Lifecycle Action",
            "source": "aws.autoscaling",
            "account": "123456789012",
            "time": "2024-03-23T03:26:43Z",
            "region": "us-east-1",
            "resources": ["arn:group"],
            "detail": {
                "LifecycleActionToken": "465e0162-e6af-4786-b4e8-bb544ae58790",
                "AutoScalingGroupName": "workers",
                "LifecycleHookName": "nomad-drain-hook",
                "EC2InstanceId": "i-05629ab7d9287e205",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "Origin": "AutoScalingGroup",
                "Destination": "EC2",
            },
        })
    );
}

#[test]
fn a_root_volume_replacement_says_so_in_its_action() {
    let message = notification(Journey::ReplaceRootVolume, NotificationTarget::None).message();
    assert_eq!(message["Action"], "ReplaceRootVolume");
    assert_eq!(message["LifecycleTransition"], "autoscaling:EC2_INSTANCE_TERMINATING");
    assert_eq!(message["Destination"], "AutoScalingGroup");
}

#[test]
fn a_test_message_names_no_instance() {
    let mut notification = notification(Journey::Terminate, NotificationTarget::None);
    notification.content = Content::Test;
    assert_eq!(notification.event_bridge_event(), None);
    let message = notification.message();
    assert_eq!(message["Event"], "autoscaling:TEST_NOTIFICATION");
    assert_eq!(message.get("EC2InstanceId"), None);
    assert_eq!(message.get("LifecycleTransition"), None);
}

#[test]
fn a_queue_behind_sns_gets_the_document_of_sns_with_two_fields_spelled_otherwise() {
    let target = NotificationTarget::Sns { topic_arn: "arn:topic".to_owned() };
    let notification = notification(Journey::Terminate, target);
    let event = notification.sns_event("arn:topic");
    let mut expected = event["Records"][0]["Sns"].as_object().unwrap().clone();
    for (function, queue) in [("SigningCertUrl", "SigningCertURL"), ("UnsubscribeUrl", "UnsubscribeURL")] {
        let value = expected.remove(function).unwrap();
        expected.insert(queue.to_owned(), value);
    }
    assert_eq!(expected.remove("MessageAttributes"), Some(json!({})));
    assert_eq!(notification.sns_document("arn:topic"), Value::Object(expected));
}
