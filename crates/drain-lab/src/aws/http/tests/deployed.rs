//! What a preflight asks about a deployment, in the formats of the services.

use jiff::SignedDuration;

use super::*;
use crate::aws::deployed::{
    DeployedFunction, DeployedQueue, EventInvokeConfig, EventSource, Redrive, Rule, Run, Sample, Statement,
    Subscription, Topic, Trigger,
};
use crate::aws::{Event, HOOK_ROLE, OPERATOR};
use crate::lambda::tests::echo_runtime;
use crate::lambda::{Function, Lambda};
use crate::sqs::{Queue, QueueSettings};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:drain";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:drain";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:drain";
const ROLE: &str = "arn:aws:iam::123456789012:role/nomad-drain";

impl Lab {
    /// With a function, a topic, a queue and a rule, all of them called `drain`.
    async fn deployed() -> Self {
        let lab = Self::new().await;
        let account = lab.aws.account().clone();
        let mut settings = Function::new("drain", "bootstrap");
        settings.env.insert("NOMAD_ADDR".to_owned(), "https://nomad:4646".to_owned());
        let mut function = DeployedFunction::new(&settings, &account);
        function.policy = vec![Statement::for_source(
            "topic",
            "sns.amazonaws.com",
            "lambda:InvokeFunction",
            FUNCTION,
            TOPIC,
        )];
        function.event_sources = vec![EventSource {
            queue_arn: QUEUE.to_owned(),
            enabled: true,
            batch_size: 10,
            reports_failures: true,
            qualifier: None,
            filter_pattern: None,
        }];
        let topic = Topic {
            policy: vec![Statement::for_role("role", ROLE, "SNS:Publish", TOPIC)],
            kms_key: None,
            subscriptions: vec![Subscription::new(TOPIC, "lambda", FUNCTION)],
        };
        let redrive = Redrive { dead_letter_arn: format!("{QUEUE}-dead"), max_receive_count: 5 };
        let queue = DeployedQueue { redrive: Some(redrive), messages: 3, ..DeployedQueue::new("drain") };
        let pattern = Trigger::Pattern(json!({"source": ["aws.autoscaling"]}));
        let rule = Rule::new(pattern, FUNCTION, &format!("{QUEUE}-dead"));
        lab.aws.change_deployed(|deployed| {
            deployed.functions.insert("drain".to_owned(), function);
            deployed.topics.insert(TOPIC.to_owned(), topic);
            deployed.queues.insert("drain".to_owned(), queue);
            deployed.rules.insert("drain".to_owned(), rule);
        });
        lab
    }

    /// An operation of a service with AWS JSON.
    async fn json(&self, service: &str, target: &str, body: &Value) -> (u16, String, Value) {
        let headers = vec![("x-amz-target".to_owned(), target.to_owned())];
        let answer = self.send_to(&self.client(service), ("POST", "/"), headers, &body.to_string()).await;
        (answer.0, answer.1, serde_json::from_str(&answer.2).unwrap_or_default())
    }

    /// An operation of Lambda.
    async fn lambda(&self, path: &str) -> (u16, String, Value) {
        let (status, head, body) = self.send_to(&self.client("lambda"), ("GET", path), vec![], "").await;
        (status, head, serde_json::from_str(&body).unwrap_or_default())
    }
}

/// The values of a map in XML.
fn value<'a>(xml: &'a str, key: &str) -> Option<&'a str> {
    let keys = texts(xml, "key");
    let place = keys.iter().position(|one| *one == key)?;
    texts(xml, "value").get(place).copied()
}

/// A document in a text.
fn document(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_an_operator_is_somebody_else() {
    let lab = Lab::new().await;
    let (_, body) = lab.query("sts", "Action=GetCallerIdentity").await;
    assert_eq!(texts(&body, "Arn"), ["arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain"]);
    assert_eq!(texts(&body, "Account"), ["123456789012"]);

    let mut operator = lab.client("sts");
    operator.account = operator.account.operator();
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let (status, body) = lab.send(&operator, vec![], form).await;
    assert_eq!(status, 200);
    assert_eq!(texts(&body, "Arn"), ["arn:aws:sts::123456789012:assumed-role/operator/operator"]);
    operator.account.secret_access_key = "not the operator's".to_owned();
    assert_eq!(lab.send(&operator, vec![], form).await.0, 403);
}

#[tokio::test]
async fn what_the_functions_role_may_not_do_an_operator_still_may() {
    let lab = Lab::new().await;
    let mut operator = lab.client("ec2");
    operator.account = operator.account.operator();
    let form = "Action=DescribeInstances&Version=2016-11-15";
    lab.aws.deny("ec2:DescribeInstances");
    assert_eq!(lab.send(&lab.client("ec2"), vec![], form).await.0, 403);
    assert_eq!(lab.send(&operator, vec![], form).await.0, 200);
    lab.aws.deny_to(OPERATOR, "ec2:DescribeInstances");
    let (status, body) = lab.send(&operator, vec![], form).await;
    assert_eq!(status, 403);
    assert!(body.contains("assumed-role/operator/operator is not authorized"), "{body}");
}

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

#[tokio::test]
async fn a_function_shows_its_configuration_its_policy_and_what_it_reads() {
    let lab = Lab::deployed().await;
    let (status, _, body) = lab.lambda("/2015-03-31/functions/drain/configuration").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["Timeout"], &body["MemorySize"], &body["Role"]),
        (&json!(15), &json!(128), &json!(ROLE))
    );
    assert_eq!(body["Environment"]["Variables"]["NOMAD_ADDR"], "https://nomad:4646");
    let escaped = FUNCTION.replace(':', "%3A");
    let (status, _, by_arn) = lab.lambda(&format!("/2015-03-31/functions/{escaped}/configuration")).await;
    assert_eq!((status, by_arn), (200, body));

    let (_, _, body) = lab.lambda("/2015-03-31/functions/drain/policy").await;
    let statement = &document(&body["Policy"])["Statement"][0];
    assert_eq!(statement["Principal"]["Service"], "sns.amazonaws.com");
    assert_eq!(statement["Condition"]["ArnLike"]["AWS:SourceArn"], TOPIC);

    let (_, _, body) = lab.lambda("/2015-03-31/event-source-mappings?FunctionName=drain").await;
    let mapping = &body["EventSourceMappings"][0];
    assert_eq!((&mapping["EventSourceArn"], &mapping["State"]), (&json!(QUEUE), &json!("Enabled")));
    assert_eq!(mapping["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
}

#[tokio::test]
async fn an_alias_has_a_policy_and_mappings_of_its_own() {
    let lab = Lab::deployed().await;
    lab.aws.change_deployed(|deployed| {
        let function = deployed.functions.get_mut("drain").unwrap();
        function.qualified.insert("live".to_owned(), std::mem::take(&mut function.policy));
        function.event_sources[0].qualifier = Some("live".to_owned());
        function.event_sources[0].filter_pattern = Some("{}".to_owned());
    });
    let path = "/2015-03-31/functions/drain/policy";
    assert_eq!(lab.lambda(path).await.0, 404);
    assert_eq!(lab.lambda(&format!("{path}?Qualifier=live")).await.0, 200);
    let path = "/2015-03-31/event-source-mappings?";
    let (_, _, body) = lab.lambda(&format!("{path}FunctionName=drain")).await;
    assert_eq!(body["EventSourceMappings"], json!([]));
    for query in ["FunctionName=drain:live".to_owned(), format!("EventSourceArn={QUEUE}")] {
        let (_, _, body) = lab.lambda(&format!("{path}{query}")).await;
        let mapping = &body["EventSourceMappings"][0];
        assert_eq!(mapping["FunctionArn"], format!("{FUNCTION}:live"), "{query}: {body}");
        assert_eq!(mapping["FilterCriteria"], json!({"Filters": [{"Pattern": "{}"}]}));
    }
}

#[tokio::test]
async fn keys_and_reserved_concurrency_are_told_where_there_are_some() {
    let lab = Lab::deployed().await;
    let path = "/2019-09-30/functions/drain/concurrency";
    assert_eq!(lab.lambda(path).await.2, json!({}));
    let attributes = json!({"QueueUrl": "https://sqs/1/drain", "AttributeNames": ["KmsMasterKeyId"]});
    let ask = async || lab.json("sqs", "AmazonSQS.GetQueueAttributes", &attributes).await.2;
    assert_eq!(ask().await, json!({}));
    lab.aws.change_deployed(|deployed| {
        deployed.functions.get_mut("drain").unwrap().reserved_concurrency = Some(0);
        deployed.queues.get_mut("drain").unwrap().kms_key = Some("alias/aws/sqs".to_owned());
        deployed.topics.get_mut(TOPIC).unwrap().kms_key = Some("alias/aws/sns".to_owned());
    });
    assert_eq!(lab.lambda(path).await.2, json!({"ReservedConcurrentExecutions": 0}));
    assert_eq!(ask().await["Attributes"], json!({"KmsMasterKeyId": "alias/aws/sqs"}));
    let (_, body) = lab.query("sns", &format!("Action=GetTopicAttributes&TopicArn={TOPIC}")).await;
    assert!(body.contains("<key>KmsMasterKeyId</key><value>alias/aws/sns</value>"), "{body}");
}

#[tokio::test]
async fn a_function_tells_its_state_its_vpc_and_that_its_variables_are_sealed() {
    let lab = Lab::deployed().await;
    lab.aws.change_deployed(|deployed| {
        let function = deployed.functions.get_mut("drain").unwrap();
        function.failed = Some("The role is gone.".to_owned());
        function.subnet_ids = vec!["subnet-1".to_owned()];
        function.is_sealed = true;
    });
    let (_, _, body) = lab.lambda("/2015-03-31/functions/drain/configuration").await;
    assert_eq!((&body["State"], &body["StateReason"]), (&json!("Failed"), &json!("The role is gone.")));
    assert_eq!(body["VpcConfig"]["SubnetIds"], json!(["subnet-1"]));
    assert_eq!(body["Environment"]["Variables"], Value::Null);
    assert_eq!(body["Environment"]["Error"]["ErrorCode"], "AccessDeniedException");
}

#[tokio::test]
async fn a_hosted_function_is_invoked_and_its_errors_are_no_errors_of_the_call() {
    let lab = Lab::deployed().await;
    let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
    let settings = Function::new("drain", echo_runtime());
    let hosted = Lambda::new(settings, lab.aws.account().clone(), clock.clone(), Journal::off(clock));
    lab.aws.change_deployed(|deployed| {
        deployed.functions.get_mut("drain").unwrap().hosted = Some(hosted.clone());
    });
    let invoke = async |kind: &str, payload: &str| {
        let headers = vec![("x-amz-invocation-type".to_owned(), kind.to_owned())];
        let call = ("POST", "/2015-03-31/functions/drain/invocations");
        lab.send_to(&lab.client("lambda"), call, headers, payload).await
    };
    let (status, head, body) = invoke("RequestResponse", r#"{"n": 1}"#).await;
    assert!(status == 200 && head.contains("x-amz-executed-version: $LATEST"), "{head}");
    assert!(!head.contains("x-amz-function-error"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["event"]["n"], 1);

    let (status, head, body) = invoke("RequestResponse", r#"{"do": "fail"}"#).await;
    assert!(status == 200 && head.contains("x-amz-function-error: Unhandled"), "{head}");
    assert!(serde_json::from_str::<Value>(&body).unwrap()["errorType"].is_string(), "{body}");

    assert_eq!(invoke("DryRun", "{}").await.0, 204);
    assert_eq!(hosted.invocations().len(), 2);
    let (status, _, body) = invoke("Event", "{}").await;
    assert_eq!((status, body.as_str()), (202, ""));
    hosted.quiet().await;
    assert_eq!(hosted.invocations().len(), 3);
    let (status, head, body) = invoke("RequestResponse", "this is no JSON").await;
    assert!(status == 400 && head.contains("x-amzn-errortype: InvalidRequestContentException"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(
        body["message"].as_str().unwrap().starts_with("Could not parse request body into json"),
        "{body}"
    );
}

#[tokio::test]
async fn a_function_that_runs_as_often_as_it_may_is_throttled() {
    let lab = Lab::deployed().await;
    let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
    let settings = Function { max_concurrency: 0, ..Function::new("drain", echo_runtime()) };
    let hosted = Lambda::new(settings, lab.aws.account().clone(), clock.clone(), Journal::off(clock));
    lab.aws.change_deployed(|deployed| {
        deployed.functions.get_mut("drain").unwrap().hosted = Some(hosted);
    });
    let call = ("POST", "/2015-03-31/functions/drain/invocations");
    let (status, head, body) = lab.send_to(&lab.client("lambda"), call, vec![], "{}").await;
    assert!(status == 429 && head.contains("x-amzn-errortype: TooManyRequestsException"), "{head}");
    let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
    let expected = json!({"Type": "User", "message": "Rate Exceeded.", "Reason": reason});
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

#[tokio::test]
async fn what_a_function_does_not_have_is_not_found() {
    let lab = Lab::deployed().await;
    lab.aws.change_deployed(|deployed| deployed.functions.get_mut("drain").unwrap().policy.clear());
    for path in [
        "/2015-03-31/functions/drain/policy",
        "/2019-09-25/functions/drain/event-invoke-config",
        "/2015-03-31/functions/other/configuration",
        "/2015-03-31/event-source-mappings?FunctionName=other",
    ] {
        let (status, head, body) = lab.lambda(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(head.contains("x-amzn-errortype: ResourceNotFoundException"), "{path}: {head}");
        assert!(body["Message"].is_string(), "{path}: {body}");
    }
    let config = EventInvokeConfig {
        maximum_retry_attempts: 1,
        maximum_event_age: Duration::from_mins(2),
        on_failure: Some(QUEUE.to_owned()),
    };
    lab.aws.change_deployed(|deployed| {
        deployed.functions.get_mut("drain").unwrap().event_invoke_config = Some(config);
    });
    let (_, _, body) = lab.lambda("/2019-09-25/functions/drain/event-invoke-config").await;
    assert_eq!(body["MaximumEventAgeInSeconds"], 120);
    assert_eq!(body["DestinationConfig"]["OnFailure"]["Destination"], QUEUE);
}

#[tokio::test]
async fn a_role_is_simulated_as_the_lab_enforces_it() {
    let lab = Lab::new().await;
    lab.aws.deny("ssm:GetParameter");
    lab.aws.deny_on("autoscaling:CompleteLifecycleAction", "arn:of:group:2");
    lab.aws.forbid("kms:Decrypt");
    let form = format!(
        "Action=SimulatePrincipalPolicy&PolicySourceArn={ROLE}\
         &ActionNames.member.1=ssm:GetParameter&ActionNames.member.2=autoscaling:CompleteLifecycleAction\
         &ResourceArns.member.1=arn:of:group:1&ResourceArns.member.2=arn:of:group:2"
    );
    let (status, body) = lab.query("iam", &form).await;
    assert_eq!(status, 200, "{body}");
    // One result for an action, as bad as the worst of its resources, whose own results are inside.
    assert_eq!(texts(&body, "EvalActionName"), ["ssm:GetParameter", "autoscaling:CompleteLifecycleAction"]);
    assert_eq!(texts(&body, "EvalDecision"), ["implicitDeny", "implicitDeny"]);
    let each = ["implicitDeny", "implicitDeny", "allowed", "implicitDeny"];
    assert_eq!(texts(&body, "EvalResourceDecision"), each);
    let names = texts(&body, "EvalResourceName");
    assert!(names[0].starts_with("arn:${Partition}:ssm:"), "{names:?}");
    assert_eq!(names[4..], ["arn:of:group:1", "arn:of:group:2"]);
    assert_eq!(texts(&body, "IsTruncated"), ["false"]);

    let (_, first) = lab.query("iam", &format!("{form}&MaxItems=1")).await;
    assert_eq!((texts(&first, "EvalDecision").len(), texts(&first, "IsTruncated")[0]), (1, "true"));
    let (_, rest) = lab.query("iam", &format!("{form}&Marker={}", texts(&first, "Marker")[0])).await;
    assert_eq!(texts(&rest, "EvalActionName"), ["autoscaling:CompleteLifecycleAction"]);

    let form = form.replace("ssm:GetParameter", "kms:Decrypt");
    assert_eq!(texts(&lab.query("iam", &form).await.1, "EvalDecision")[0], "explicitDeny");

    let hook = ROLE.replace("nomad-drain", HOOK_ROLE);
    let form =
        format!("Action=SimulatePrincipalPolicy&PolicySourceArn={hook}&ActionNames.member.1=sns:Publish");
    let (_, body) = lab.query("iam", &form).await;
    assert_eq!(
        (texts(&body, "EvalDecision"), texts(&body, "EvalResourceName")),
        (vec!["allowed"], vec!["*"])
    );
    assert!(!body.contains("ResourceSpecificResults"), "{body}");
}

#[tokio::test]
async fn a_simulation_says_which_keys_nobody_gave_and_what_the_organisation_does_not_allow() {
    let lab = Lab::new().await;
    lab.aws.allow_on_condition("ssm:GetParameter", "aws:ResourceTag/team");
    lab.aws.deny_by_organization("kms:Decrypt");
    let form = format!(
        "Action=SimulatePrincipalPolicy&PolicySourceArn={ROLE}&ActionNames.member.1=ssm:GetParameter\
         &ActionNames.member.2=kms:Decrypt&ResourceArns.member.1=arn:of:one"
    );
    let (_, body) = lab.query("iam", &form).await;
    assert_eq!(texts(&body, "EvalResourceDecision"), ["implicitDeny", "implicitDeny"]);
    let missing = "<MissingContextValues><member>aws:ResourceTag/team</member></MissingContextValues>";
    assert_eq!(body.matches(missing).count(), 2, "of the action, and of the resource: {body}");
    assert_eq!(texts(&body, "AllowedByOrganizations"), ["false"]);
}

#[tokio::test]
async fn a_session_or_a_role_that_is_not_there_cannot_be_simulated() {
    let lab = Lab::new().await;
    for (principal, status, code) in [
        ("arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain", 400, "InvalidInput"),
        ("arn:aws:iam::123456789012:role/nobody", 404, "NoSuchEntity"),
    ] {
        let form =
            format!("Action=SimulatePrincipalPolicy&PolicySourceArn={principal}&ActionNames.member.1=a:B");
        let (answered, body) = lab.query("iam", &form).await;
        assert_eq!((answered, &texts(&body, "Code")[..]), (status, &[code][..]));
    }
    let (_, body) = lab.query("iam", "Action=GetRole&RoleName=nomad-drain").await;
    assert_eq!(texts(&body, "Arn"), [ROLE]);
    lab.aws.deny("iam:GetRole");
    assert_eq!(lab.query("iam", "Action=GetRole&RoleName=nomad-drain").await.0, 403);
}

#[tokio::test]
async fn runs_are_counted_by_the_minute() {
    let lab = Lab::deployed().await;
    let noon: jiff::Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let run = |seconds, failed| Run { at: noon + SignedDuration::from_secs(seconds), failed };
    lab.aws.change_deployed(|deployed| {
        deployed.functions.get_mut("drain").unwrap().runs =
            vec![run(-1, false), run(1, false), run(59, true), run(121, false), run(180, false)];
    });
    let ask = |metric: &str| {
        format!(
            "Action=GetMetricStatistics&Namespace=AWS/Lambda&MetricName={metric}&Period=60\
             &StartTime=2026-01-01T12:00:30Z&EndTime=2026-01-01T12:03:00Z&Statistics.member.1=Sum\
             &Dimensions.member.1.Name=FunctionName&Dimensions.member.1.Value=drain"
        )
    };
    let (status, body) = lab.query("monitoring", &ask("Invocations")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(texts(&body, "Timestamp"), ["2026-01-01T12:02:00Z", "2026-01-01T12:00:00Z"]);
    assert_eq!(texts(&body, "Sum"), ["1.0", "2.0"]);
    assert_eq!(texts(&body, "Label"), ["Invocations"]);
    let (_, body) = lab.query("monitoring", &ask("Errors")).await;
    assert_eq!(texts(&body, "Sum"), ["0.0", "1.0"]);
    let (_, body) = lab.query("monitoring", &ask("Duration").replace("=drain", "=other")).await;
    assert!(body.contains("<Datapoints></Datapoints>"), "{body}");

    let own = |at| Sample { namespace: "Drain".to_owned(), name: "Groups".to_owned(), at, value: 2.0 };
    lab.aws.change_deployed(|deployed| deployed.samples = vec![own(noon), own(noon)]);
    let form = ask("Groups").replace("AWS/Lambda", "Drain").replace("Sum&", "SampleCount&");
    let (_, body) = lab.query("monitoring", form.split("&Dimensions").next().unwrap()).await;
    assert_eq!((texts(&body, "SampleCount"), texts(&body, "Sum").len()), (vec!["2.0"], 0), "{body}");
    let (_, body) = lab.query("monitoring", &form).await;
    assert!(body.contains("<Datapoints></Datapoints>"), "a metric with dimensions is another: {body}");
    lab.aws.deny("cloudwatch:GetMetricStatistics");
    assert_eq!(lab.query("monitoring", &ask("Errors")).await.0, 403);
}

#[tokio::test]
async fn each_service_refuses_in_its_own_words_what_iam_does_not_allow() {
    let lab = Lab::deployed().await;
    let actions = [
        "sns:GetTopicAttributes",
        "sqs:GetQueueAttributes",
        "events:DescribeRule",
        "lambda:GetPolicy",
        "lambda:InvokeFunction",
    ];
    for action in actions {
        lab.aws.deny(action);
    }
    let (status, body) = lab.query("sns", &format!("Action=GetTopicAttributes&TopicArn={TOPIC}")).await;
    assert_eq!((status, &texts(&body, "Code")[..]), (403, &["AuthorizationError"][..]));
    let ask = json!({"QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/drain"});
    let (status, _, body) = lab.json("sqs", "AmazonSQS.GetQueueAttributes", &ask).await;
    let refused = "com.amazon.coral.service#AccessDeniedException";
    assert_eq!((status, body["__type"].as_str()), (400, Some(refused)));
    let (status, _, body) = lab.json("events", "AWSEvents.DescribeRule", &json!({"Name": "drain"})).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("AccessDeniedException")));
    assert!(body["Message"].as_str().unwrap().contains("rule/drain because no identity-based"), "{body}");
    let (status, head, _) = lab.lambda("/2015-03-31/functions/drain/policy").await;
    assert!(status == 403 && head.contains("x-amzn-errortype: AccessDeniedException"), "{head}");
    let (status, _, body) = lab
        .send_to(&lab.client("lambda"), ("POST", "/2015-03-31/functions/drain/invocations"), vec![], "{}")
        .await;
    assert!(status == 403 && body.contains("lambda:InvokeFunction"), "{body}");
}
