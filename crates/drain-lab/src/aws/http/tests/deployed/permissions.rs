//! Who calls, and what IAM lets it do.

use super::*;

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
