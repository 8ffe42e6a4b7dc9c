//! Functions: what they show, and how they are invoked.

use super::*;

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
