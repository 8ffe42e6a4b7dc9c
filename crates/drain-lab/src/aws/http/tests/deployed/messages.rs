//! Topics, queues and rules: what they show, and what they take.

use super::*;

#[tokio::test]
async fn a_topic_shows_its_policy_and_its_subscriptions() {
    let lab = Lab::deployed().await;
    let (status, body) = lab.query("sns", &format!("Action=GetTopicAttributes&TopicArn={TOPIC}")).await;
    assert_eq!(status, 200);
    assert_eq!(value(&body, "TopicArn"), Some(TOPIC));
    assert_eq!(value(&body, "SubscriptionsConfirmed"), Some("1"));
    let policy: Value = serde_json::from_str(value(&body, "Policy").unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"]["AWS"], ROLE);

    let form = format!("Action=ListSubscriptionsByTopic&TopicArn={TOPIC}");
    let (_, body) = lab.query("sns", &form).await;
    assert_eq!((texts(&body, "Protocol"), texts(&body, "Endpoint")), (vec!["lambda"], vec![FUNCTION]));
    let subscription = texts(&body, "SubscriptionArn")[0].to_owned();
    let form = format!("Action=GetSubscriptionAttributes&SubscriptionArn={subscription}");
    let (_, body) = lab.query("sns", &form).await;
    assert_eq!(value(&body, "PendingConfirmation"), Some("false"));
    assert_eq!(value(&body, "RawMessageDelivery"), Some("false"));
    assert_eq!(value(&body, "FilterPolicy"), None);
}

#[tokio::test]
async fn a_subscription_that_was_not_confirmed_has_no_arn() {
    let lab = Lab::deployed().await;
    lab.aws.change_deployed(|deployed| {
        deployed.topics.get_mut(TOPIC).unwrap().subscriptions[0].confirmed = false;
    });
    let form = format!("Action=ListSubscriptionsByTopic&TopicArn={TOPIC}");
    let (_, body) = lab.query("sns", &form).await;
    assert_eq!(texts(&body, "SubscriptionArn"), ["PendingConfirmation"]);
}

#[tokio::test]
async fn a_queue_shows_the_attributes_that_it_is_asked_for_as_texts() {
    let lab = Lab::deployed().await;
    let (_, _, body) = lab.json("sqs", "AmazonSQS.GetQueueUrl", &json!({"QueueName": "drain"})).await;
    let url = body["QueueUrl"].clone();
    assert_eq!(url, "https://sqs.us-east-1.amazonaws.com/123456789012/drain");
    let ask = json!({"QueueUrl": url, "AttributeNames": ["VisibilityTimeout", "RedrivePolicy", "Policy"]});
    let (status, head, body) = lab.json("sqs", "AmazonSQS.GetQueueAttributes", &ask).await;
    assert!(status == 200 && head.contains("content-type: application/x-amz-json-1.0"), "{head}");
    let attributes = body["Attributes"].as_object().unwrap();
    assert_eq!(attributes["VisibilityTimeout"], "30");
    assert_eq!(document(&attributes["RedrivePolicy"])["maxReceiveCount"], 5);
    assert_eq!(attributes.len(), 2, "what is not set is left out: {attributes:?}");

    let ask = json!({"QueueUrl": url, "AttributeNames": ["All"]});
    let (_, _, body) = lab.json("sqs", "AmazonSQS.GetQueueAttributes", &ask).await;
    assert_eq!(body["Attributes"]["ApproximateNumberOfMessages"], "3");
    assert_eq!(body["Attributes"]["QueueArn"], QUEUE);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_in_both_languages() {
    let lab = Lab::new().await;
    let ask = json!({"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/none"});
    let (status, head, body) = lab.json("sqs", "AmazonSQS.GetQueueAttributes", &ask).await;
    assert_eq!(status, 400);
    assert_eq!(body["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    let header = "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender";
    assert!(head.contains(header), "{head}");
}

/// A lab with a queue that keeps what is sent to it.
async fn with_hosted_queue() -> (Lab, Queue) {
    let lab = Lab::deployed().await;
    let settings = QueueSettings::named("drain");
    let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
    let queue = Queue::new(settings, lab.aws.account().clone(), clock.clone(), Journal::off(clock));
    lab.aws.change_deployed(|deployed| {
        deployed.queues.get_mut("drain").unwrap().hosted = Some(queue.clone());
    });
    (lab, queue)
}

#[tokio::test]
async fn a_message_reaches_a_hosted_queue() {
    let (lab, queue) = with_hosted_queue().await;
    let ask =
        json!({"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/drain", "MessageBody": "{}"});
    let (status, _, body) = lab.json("sqs", "AmazonSQS.SendMessage", &ask).await;
    assert!(status == 200 && body["MessageId"].is_string(), "{body}");
    assert_eq!(queue.visible(), 1);
}

/// A call for several messages at once: their ids and bodies.
fn batch(entries: &[(&str, Option<&str>)]) -> Value {
    let entries: Vec<Value> =
        entries.iter().map(|(id, body)| json!({"Id": id, "MessageBody": body})).collect();
    json!({"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/drain", "Entries": entries})
}

#[tokio::test]
async fn several_messages_reach_a_hosted_queue_at_once() {
    let (lab, queue) = with_hosted_queue().await;
    let ask = batch(&[("a", Some("1")), ("b", Some("2"))]);
    let (status, _, body) = lab.json("sqs", "AmazonSQS.SendMessageBatch", &ask).await;
    assert_eq!((status, &body["Failed"]), (200, &json!([])), "{body}");
    let sent = body["Successful"].as_array().unwrap();
    assert_eq!(sent.iter().map(|one| one["Id"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(sent.iter().all(|one| one["MessageId"].is_string() && one["MD5OfMessageBody"].is_string()));
    let received = queue.receive(10).unwrap().event();
    let bodies = received["Records"].as_array().unwrap().iter().map(|record| &record["body"]);
    assert_eq!(bodies.collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn a_batch_that_sqs_does_not_take_brings_nothing() {
    let (lab, queue) = with_hosted_queue().await;
    let ids: Vec<String> = (0..11).map(|number| number.to_string()).collect();
    let eleven: Vec<(&str, Option<&str>)> = ids.iter().map(|id| (id.as_str(), Some("{}"))).collect();
    for (ask, code, message) in [
        (
            batch(&[]),
            "EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        ),
        (
            batch(&eleven),
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        (batch(&[("a", Some("1")), ("a", Some("2"))]), "BatchEntryIdsNotDistinct", "Id a repeated."),
    ] {
        let (status, head, body) = lab.json("sqs", "AmazonSQS.SendMessageBatch", &ask).await;
        let expected = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message});
        assert_eq!((status, body), (400, expected));
        let header = format!("x-amzn-query-error: AWS.SimpleQueueService.{code};Sender");
        assert!(head.contains(&header), "{head}");
    }
    let ask = batch(&[("a", Some("1")), ("b", None)]);
    let (status, head, _) = lab.json("sqs", "AmazonSQS.SendMessageBatch", &ask).await;
    assert!(status == 400 && head.contains("x-amzn-query-error: MissingParameter;Sender"), "{head}");
    // One permission for both operations.
    lab.aws.deny("sqs:SendMessage");
    let (status, _, body) = lab.json("sqs", "AmazonSQS.SendMessageBatch", &batch(&[("a", Some("1"))])).await;
    assert_eq!(
        (status, body["__type"].as_str()),
        (400, Some("com.amazon.coral.service#AccessDeniedException"))
    );
    assert_eq!(queue.visible(), 0);
}

#[tokio::test]
async fn what_is_published_is_announced_unless_sns_does_not_take_it() {
    let lab = Lab::deployed().await;
    let mut events = lab.aws.events();
    let publish = format!("Action=Publish&TopicArn={TOPIC}&Message=hello");
    for (form, status, code, message) in [
        (
            "Action=Publish&Message=hello".to_owned(),
            400,
            "InvalidParameter",
            "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
        ),
        (format!("{publish}&Subject="), 400, "InvalidParameter", "Invalid parameter: Subject"),
        (
            format!("Action=Publish&TopicArn={TOPIC}"),
            400,
            "InvalidParameter",
            "Invalid parameter: Empty message",
        ),
        (publish.replace(TOPIC, &format!("{TOPIC}-old")), 404, "NotFound", "Topic does not exist"),
    ] {
        let (answered, body) = lab.query("sns", &form).await;
        assert_eq!(
            (answered, texts(&body, "Code"), texts(&body, "Message")),
            (status, vec![code], vec![message])
        );
    }
    assert_eq!(lab.aws.published(), []);
    let (status, body) = lab.query("sns", &publish).await;
    assert_eq!(status, 200, "{body}");
    let published = lab.aws.published();
    assert_eq!((published[0].message.as_str(), published[0].subject.as_str()), ("hello", ""));
    assert_eq!(texts(&body, "MessageId"), [published[0].id.as_str()]);
    assert_eq!(events.try_recv(), Ok(Event::Published(Box::new(published[0].clone()))));
}

#[tokio::test]
async fn rules_are_found_by_their_target_and_described_without_it() {
    let lab = Lab::deployed().await;
    let ask = json!({"TargetArn": FUNCTION});
    let (_, _, body) = lab.json("events", "AWSEvents.ListRuleNamesByTarget", &ask).await;
    assert_eq!(body["RuleNames"], json!(["drain"]));
    let (_, _, body) = lab.json("events", "AWSEvents.DescribeRule", &json!({"Name": "drain"})).await;
    assert_eq!((&body["State"], &body["Targets"]), (&json!("ENABLED"), &Value::Null));
    assert_eq!(document(&body["EventPattern"])["source"], json!(["aws.autoscaling"]));
    let (_, _, body) = lab.json("events", "AWSEvents.ListTargetsByRule", &json!({"Rule": "drain"})).await;
    assert_eq!(body["Targets"][0]["Arn"], FUNCTION);

    let ask = json!({"TargetArn": "arn:aws:lambda:us-east-1:123456789012:function:other", "Limit": 100});
    let (_, _, body) = lab.json("events", "AWSEvents.ListRuleNamesByTarget", &ask).await;
    assert_eq!(body["RuleNames"], json!([]));
    let (status, _, body) = lab.json("events", "AWSEvents.DescribeRule", &json!({"Name": "none"})).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("ResourceNotFoundException")));
}
