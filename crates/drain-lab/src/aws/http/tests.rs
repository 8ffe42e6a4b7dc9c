//! The account's endpoints as a client sees them, its requests signed by AWS's own signer.

mod deployed;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};

use crate::aws::{
    Account, Aws, GroupSettings, LifecycleHook, LifecycleState, NotificationTarget, ParameterType,
};
use crate::clock::Clock;
use crate::faults::{Fault, Faults};
use crate::http_face::Face;
use crate::http_face::tests::exchange;
use crate::journal::{Journal, System};

struct Lab {
    aws: Aws,
    face: Face,
    faults: Faults,
    journal: Journal,
}

/// A client's credentials and what it signs for.
struct Client<'a> {
    account: Account,
    service: &'a str,
    time: SystemTime,
}

impl Lab {
    async fn new() -> Self {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let journal = Journal::new(clock.clone());
        let faults = Faults::default();
        let aws = Aws::new(clock, journal.clone(), faults.clone());
        let face = aws.serve().await.unwrap();
        Self { aws, face, faults, journal }
    }

    /// With a group, its hook and an instance that the hook holds.
    async fn with_held_instance() -> (Self, String) {
        let lab = Self::new().await;
        lab.aws.create_group(GroupSettings::named("workers"));
        lab.aws.put_lifecycle_hook("workers", LifecycleHook::terminating("nomad-drain-hook")).unwrap();
        let id = lab.aws.add_instance("workers", Some("10.0.0.7".parse().unwrap())).unwrap();
        lab.aws.terminate_instance(&id).unwrap();
        (lab, id)
    }

    fn client<'a>(&self, service: &'a str) -> Client<'a> {
        Client { account: self.aws.account().clone(), service, time: SystemTime::now() }
    }

    /// Status and body of the answer to a signed request.
    async fn send(&self, client: &Client<'_>, headers: Vec<(String, String)>, body: &str) -> (u16, String) {
        let (status, _, body) = self.send_to(client, ("POST", "/"), headers, body).await;
        (status, body)
    }

    /// Status, head and body of the answer to a signed request to any path.
    async fn send_to(
        &self,
        client: &Client<'_>,
        (method, path): (&str, &str),
        mut headers: Vec<(String, String)>,
        body: &str,
    ) -> (u16, String, String) {
        let Account { access_key_id, secret_access_key, session_token, region, .. } = &client.account;
        let credentials =
            Credentials::new(access_key_id, secret_access_key, Some(session_token.clone()), None, "test");
        let identity = credentials.into();
        let settings = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(client.service)
            .time(client.time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let url = format!("{}{path}", self.face.url());
        let signable = SignableRequest::new(
            method,
            &url,
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        );
        let (instructions, _) = sign(signable.unwrap(), &settings).unwrap().into_parts();
        let (signed, _) = instructions.into_parts();
        headers.extend(signed.iter().map(|header| (header.name().to_owned(), header.value().to_owned())));
        self.exchange((method, path), &headers, body).await
    }

    async fn send_as_is(&self, headers: &[(String, String)], body: &str) -> (u16, String) {
        let (status, _, body) = self.exchange(("POST", "/"), headers, body).await;
        (status, body)
    }

    async fn exchange(
        &self,
        (method, path): (&str, &str),
        headers: &[(String, String)],
        body: &str,
    ) -> (u16, String, String) {
        let lines =
            headers.iter().fold(String::new(), |lines, (name, value)| lines + name + ": " + value + "\r\n");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{lines}\r\n{body}",
            self.face.address(),
            body.len()
        );
        let answer = String::from_utf8(exchange(self.face.address(), &request).await).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or(("HTTP/1.1 0", ""));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    async fn query(&self, service: &str, form: &str) -> (u16, String) {
        let version = match service {
            "ec2" => "2016-11-15",
            "sns" => "2010-03-31",
            "sts" => "2011-06-15",
            "iam" => "2010-05-08",
            "monitoring" => "2010-08-01",
            _ => "2011-01-01",
        };
        self.send(&self.client(service), vec![], &format!("{form}&Version={version}")).await
    }

    async fn get_parameter(&self, body: &Value) -> (u16, Value) {
        let (status, body) = self.send(&self.client("ssm"), get_parameter_headers(), &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or_default())
    }
}

fn get_parameter_headers() -> Vec<(String, String)> {
    vec![("x-amz-target".to_owned(), "AmazonSSM.GetParameter".to_owned())]
}

/// The texts of all elements of this name.
fn texts<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let open = format!("<{name}>");
    xml.split(&open).skip(1).map(|rest| rest.split(&format!("</{name}>")).next().unwrap()).collect()
}

#[tokio::test]
async fn a_secure_parameter_is_decrypted_for_those_who_ask_for_it() {
    let lab = Lab::new().await;
    lab.aws.put_parameter("/prod/token", ParameterType::SecureString, "s3cret");
    let (status, body) = lab.get_parameter(&json!({"Name": "/prod/token", "WithDecryption": true})).await;
    assert_eq!(status, 200);
    assert_eq!(body["Parameter"]["Value"], "s3cret");
    assert_eq!(body["Parameter"]["Type"], "SecureString");
    assert_eq!(body["Parameter"]["ARN"], "arn:aws:ssm:us-east-1:123456789012:parameter/prod/token");

    let (_, body) = lab.get_parameter(&json!({"Name": "/prod/token"})).await;
    assert_ne!(body["Parameter"]["Value"], "s3cret");
    let noted = serde_json::to_string(&lab.journal.entries()).unwrap();
    assert!(noted.contains("/prod/token") && !noted.contains("s3cret"), "{noted}");
}

#[tokio::test]
async fn a_parameter_that_does_not_exist_is_not_found() {
    let (status, body) = Lab::new().await.get_parameter(&json!({"Name": "/none"})).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("ParameterNotFound")));
}

#[tokio::test]
async fn a_denied_action_is_refused_in_the_words_of_iam() {
    let (lab, id) = Lab::with_held_instance().await;
    lab.aws.put_parameter("/token", ParameterType::String, "x");
    for action in ["ssm:GetParameter", "ec2:DescribeInstances", "autoscaling:CompleteLifecycleAction"] {
        lab.aws.deny(action);
    }
    let who =
        "User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: ";
    let because = "because no identity-based policy allows the";

    let (status, body) = lab.get_parameter(&json!({"Name": "/token"})).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("AccessDeniedException")));
    let arn = "arn:aws:ssm:us-east-1:123456789012:parameter/token";
    let text = format!("{who}ssm:GetParameter on resource: {arn} {because} ssm:GetParameter action");
    assert_eq!(body["Message"], text);

    let (status, body) = lab.query("ec2", "Action=DescribeInstances").await;
    assert_eq!((status, &texts(&body, "Code")[..]), (403, &["UnauthorizedOperation"][..]));
    let text = format!("{who}ec2:DescribeInstances {because} ec2:DescribeInstances action");
    assert!(texts(&body, "Message")[0].ends_with(&text), "{body}");

    let (status, body) = lab.query("autoscaling", &complete(&id)).await;
    assert_eq!((status, &texts(&body, "Code")[..]), (403, &["AccessDenied"][..]));
    assert!(texts(&body, "Message")[0].contains(" on resource: arn:aws:autoscaling:us-east-1:"), "{body}");
    assert_eq!(lab.aws.instance(&id).unwrap().lifecycle_state, LifecycleState::TerminatingWait);

    lab.aws.allow("ssm:GetParameter");
    assert_eq!(lab.get_parameter(&json!({"Name": "/token"})).await.0, 200);
}

fn complete(id: &str) -> String {
    format!(
        "Action=CompleteLifecycleAction&AutoScalingGroupName=workers&LifecycleHookName=nomad-drain-hook\
         &LifecycleActionResult=CONTINUE&InstanceId={id}"
    )
}

#[tokio::test]
async fn an_action_can_be_completed_once() {
    let (lab, id) = Lab::with_held_instance().await;
    let (status, body) = lab.query("autoscaling", &complete(&id)).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("<CompleteLifecycleActionResult></CompleteLifecycleActionResult>"), "{body}");
    let (status, body) = lab.query("autoscaling", &complete(&id)).await;
    assert_eq!(status, 400);
    assert_eq!(texts(&body, "Code"), ["ValidationError"]);
    assert_eq!(texts(&body, "Message"), [format!("No active Lifecycle Action found with instance ID {id}")]);
}

#[tokio::test]
async fn a_heartbeat_by_token_is_recorded() {
    let (lab, id) = Lab::with_held_instance().await;
    let token = lab.aws.lifecycle_action(&id).unwrap().token;
    let form = format!(
        "Action=RecordLifecycleActionHeartbeat&AutoScalingGroupName=workers&LifecycleHookName=nomad-drain-hook\
         &LifecycleActionToken={token}"
    );
    assert_eq!(lab.query("autoscaling", &form).await.0, 200);
    assert_eq!(lab.aws.lifecycle_action(&id).unwrap().heartbeats, 1);
}

#[tokio::test]
async fn instances_are_described_with_their_lifecycle_state() {
    let (lab, id) = Lab::with_held_instance().await;
    lab.aws.add_instance("workers", None).unwrap();
    let form = format!("Action=DescribeAutoScalingInstances&InstanceIds.member.1={id}");
    let (_, body) = lab.query("autoscaling", &form).await;
    assert_eq!(texts(&body, "InstanceId"), [id]);
    assert_eq!(texts(&body, "LifecycleState"), ["Terminating:Wait"]);
    assert_eq!(texts(&body, "AutoScalingGroupName"), ["workers"]);
}

#[tokio::test]
async fn groups_are_found_by_tag_and_come_in_pages() {
    let lab = Lab::new().await;
    for number in 1..=5 {
        let mut settings = GroupSettings::named(&format!("group-{number}"));
        if number != 2 {
            settings.tags.insert("nomad-drain".to_owned(), "on".to_owned());
        }
        lab.aws.create_group(settings);
    }
    let form = "Action=DescribeAutoScalingGroups&MaxRecords=3\
                &Filters.member.1.Name=tag-key&Filters.member.1.Values.member.1=nomad-drain";
    let (_, first) = lab.query("autoscaling", form).await;
    assert_eq!(texts(&first, "AutoScalingGroupName"), ["group-1", "group-3", "group-4"]);
    let form = format!("{form}&NextToken={}", texts(&first, "NextToken")[0]);
    let (_, second) = lab.query("autoscaling", &form).await;
    assert_eq!(texts(&second, "AutoScalingGroupName"), ["group-5"]);
    assert!(texts(&second, "NextToken").is_empty());
}

#[tokio::test]
async fn hooks_are_described_with_both_time_outs() {
    let (lab, _) = Lab::with_held_instance().await;
    let topic_arn = "arn:aws:sns:us-east-1:123456789012:drain".to_owned();
    let target = NotificationTarget::Sns { topic_arn };
    let hook = LifecycleHook { target, ..LifecycleHook::launching("launch") };
    lab.aws.put_lifecycle_hook("workers", hook).unwrap();
    let (_, body) =
        lab.query("autoscaling", "Action=DescribeLifecycleHooks&AutoScalingGroupName=workers").await;
    assert_eq!(texts(&body, "LifecycleHookName"), ["nomad-drain-hook", "launch"]);
    assert_eq!(texts(&body, "HeartbeatTimeout"), ["3600", "3600"]);
    assert_eq!(texts(&body, "GlobalTimeout"), ["172800", "172800"]);
    assert_eq!(texts(&body, "NotificationTargetARN"), ["arn:aws:sns:us-east-1:123456789012:drain"]);
}

#[tokio::test]
async fn the_warm_pool_shows_what_the_group_does_not() {
    let (lab, held) = Lab::with_held_instance().await;
    let id = lab.aws.add_instance("workers", None).unwrap();
    lab.aws.return_to_warm_pool(&id).unwrap();
    let (_, body) = lab.query("autoscaling", "Action=DescribeWarmPool&AutoScalingGroupName=workers").await;
    assert_eq!(texts(&body, "InstanceId"), [id]);
    assert_eq!(texts(&body, "LifecycleState"), ["Warmed:Pending:Wait"]);
    let (_, body) = lab.query("autoscaling", "Action=DescribeAutoScalingGroups").await;
    assert_eq!(texts(&body, "InstanceId"), [held]);
}

#[tokio::test]
async fn activities_are_described_the_latest_first() {
    let (lab, id) = Lab::with_held_instance().await;
    let launched = lab.aws.launch_instance("workers", None).unwrap();
    let (_, body) =
        lab.query("autoscaling", "Action=DescribeScalingActivities&AutoScalingGroupName=workers").await;
    let expected =
        [format!("Launching a new EC2 instance: {launched}"), format!("Terminating EC2 instance: {id}")];
    assert_eq!(texts(&body, "Description"), expected);
    assert_eq!(texts(&body, "StatusCode"), ["Successful", "InProgress"]);
}

#[tokio::test]
async fn ec2_knows_an_instance_after_its_end_but_not_its_address() {
    let (lab, id) = Lab::with_held_instance().await;
    let form = format!("Action=DescribeInstances&InstanceId.1={id}");
    let (_, body) = lab.query("ec2", &form).await;
    assert_eq!(texts(&body, "privateIpAddress"), ["10.0.0.7"]);
    assert_eq!(texts(&body, "instanceState"), ["<code>16</code><name>running</name>"]);

    lab.aws.set_shutdown_time(Duration::ZERO);
    lab.aws.terminate_without_hooks(&id).unwrap();
    let (_, body) = lab.query("ec2", &form).await;
    assert!(texts(&body, "privateIpAddress").is_empty());
    assert_eq!(texts(&body, "instanceState"), ["<code>48</code><name>terminated</name>"]);
    let (_, body) = lab.query("autoscaling", "Action=DescribeAutoScalingInstances").await;
    assert!(texts(&body, "InstanceId").is_empty());
}

#[tokio::test]
async fn ec2_does_not_know_an_instance_that_never_was() {
    let lab = Lab::new().await;
    let (status, body) = lab.query("ec2", "Action=DescribeInstances&InstanceId.1=i-0123456789abcdef0").await;
    assert_eq!(status, 400);
    assert_eq!(texts(&body, "Code"), ["InvalidInstanceID.NotFound"]);
    assert_eq!(texts(&body, "Message"), ["The instance ID 'i-0123456789abcdef0' does not exist"]);
}

#[tokio::test]
async fn each_service_says_slow_down_in_its_own_way() {
    let lab = Lab::new().await;
    for operation in ["GetParameter", "DescribeInstances", "DescribeAutoScalingInstances"] {
        lab.faults.inject(operation, &Fault::Throttled, 1);
    }
    let (status, body) = lab.get_parameter(&json!({"Name": "/token"})).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("ThrottlingException")));
    let (status, body) = lab.query("ec2", "Action=DescribeInstances").await;
    assert_eq!((status, &texts(&body, "Code")[..]), (503, &["RequestLimitExceeded"][..]));
    let (status, body) = lab.query("autoscaling", "Action=DescribeAutoScalingInstances").await;
    assert_eq!((status, &texts(&body, "Code")[..]), (400, &["Throttling"][..]));
    assert_eq!(texts(&body, "Message"), ["Rate exceeded"]);
    assert_eq!(lab.query("autoscaling", "Action=DescribeAutoScalingInstances").await.0, 200);
}

#[tokio::test]
async fn auto_scaling_throttles_whoever_calls_too_often_and_has_an_effect_on_nothing() {
    let (lab, id) = Lab::with_held_instance().await;
    lab.aws.set_rate_limit(Some(1));
    assert_eq!(lab.query("autoscaling", "Action=DescribeAutoScalingGroups").await.0, 200);
    let (status, body) = lab.query("autoscaling", &complete(&id)).await;
    assert_eq!((status, &texts(&body, "Code")[..]), (400, &["Throttling"][..]));
    assert_eq!(lab.aws.instance(&id).unwrap().lifecycle_state, LifecycleState::TerminatingWait);
    assert_eq!(lab.query("ec2", "Action=DescribeInstances").await.0, 200);
}

#[tokio::test]
async fn an_answer_can_get_lost_after_the_effect() {
    let (lab, id) = Lab::with_held_instance().await;
    lab.faults.inject("CompleteLifecycleAction", &Fault::ResetAfterEffect, 1);
    assert_eq!(lab.query("autoscaling", &complete(&id)).await.0, 0);
    assert_eq!(lab.aws.instance(&id).unwrap().lifecycle_state, LifecycleState::TerminatingProceed);
}

#[tokio::test]
async fn a_request_that_is_not_signed_is_refused_and_noted() {
    let lab = Lab::new().await;
    let form = "Action=DescribeAutoScalingInstances&Version=2011-01-01";
    let (status, body) = lab.send_as_is(&[], form).await;
    assert_eq!((status, &texts(&body, "Code")[..]), (403, &["MissingAuthenticationToken"][..]));
    assert_eq!(lab.journal.calls(System::AutoScaling), ["DescribeAutoScalingInstances"]);
    assert_eq!(lab.journal.entries()[0].detail, "refused: not signed");
}

#[tokio::test]
async fn a_request_that_is_signed_for_another_service_with_another_key_or_long_ago_is_refused() {
    let lab = Lab::new().await;
    let form = "Action=DescribeAutoScalingInstances&Version=2011-01-01";
    let for_ec2 = lab.client("ec2");
    let mut other_secret = lab.client("autoscaling");
    other_secret.account.secret_access_key = "not the lab's".to_owned();
    let mut long_ago = lab.client("autoscaling");
    long_ago.time -= Duration::from_mins(6);
    for client in [for_ec2, other_secret, long_ago] {
        let (status, body) = lab.send(&client, vec![], form).await;
        assert_eq!((status, &texts(&body, "Code")[..]), (403, &["SignatureDoesNotMatch"][..]), "{body}");
    }
    let mut stranger = lab.client("ssm");
    stranger.account.session_token = "stolen".to_owned();
    let (status, body) = lab.send(&stranger, get_parameter_headers(), r#"{"Name":"/token"}"#).await;
    assert_eq!(status, 400);
    assert!(body.contains("UnrecognizedClientException"), "{body}");
}

#[tokio::test]
async fn an_operation_that_is_not_there_is_refused() {
    let lab = Lab::new().await;
    let (status, body) = lab.query("autoscaling", "Action=DeleteAutoScalingGroup").await;
    assert_eq!((status, &texts(&body, "Code")[..]), (400, &["InvalidAction"][..]));
}

#[tokio::test]
async fn a_thousand_instances_are_described_with_their_group_and_fifty_at_a_time() {
    let lab = Lab::new().await;
    for name in ["small", "workers", "other"] {
        lab.aws.create_group(GroupSettings::named(name));
    }
    lab.aws.put_lifecycle_hook("workers", LifecycleHook::terminating("nomad-drain-hook")).unwrap();
    let ids: Vec<String> = (0..1000).map(|_| lab.aws.add_instance("workers", None).unwrap()).collect();
    for id in &ids {
        lab.aws.terminate_instance(id).unwrap();
    }
    let mut sizes = Vec::new();
    let mut next = String::new();
    while sizes.len() < 3 {
        let form = format!("Action=DescribeAutoScalingGroups&MaxRecords=1{next}");
        let (_, page) = lab.query("autoscaling", &form).await;
        sizes.push(texts(&page, "InstanceId").len());
        next =
            texts(&page, "NextToken").first().map_or_else(String::new, |token| format!("&NextToken={token}"));
    }
    assert_eq!((sizes, next.as_str()), (vec![0, 1000, 0], ""));
    let describe = |ids: &[String]| {
        let members = (1..).zip(ids).map(|(number, id)| format!("InstanceIds.member.{number}={id}"));
        format!("Action=DescribeAutoScalingInstances&{}", members.collect::<Vec<_>>().join("&"))
    };
    for fifty in ids.chunks(50) {
        let (status, answer) = lab.query("autoscaling", &describe(fifty)).await;
        assert_eq!((status, texts(&answer, "LifecycleState")), (200, vec!["Terminating:Wait"; 50]));
    }
    let (status, answer) = lab.query("autoscaling", &describe(&ids[..51])).await;
    assert_eq!((status, texts(&answer, "Code")), (400, vec!["ValidationError"]));
}
