//! Every failure that an operator can meet, provoked from outside, and the sentence that the operator reads.

use std::net::Ipv4Addr;
use std::time::Duration;

use drain_lab::aws::ParameterType;
use drain_lab::lab::{Lab, TOKEN, TOKEN_PARAMETER, Worker};
use serde_json::{Value, json};

use crate::harness::{ClosedPort, GROUP, failure, function, invoke_with, lab, message};

/// Deploys a function with these variables, sends it this event, and gives what the operator reads. Ports and ids
/// differ from run to run and are named.
async fn told(lab: &Lab, variables: &[(&str, &str)], event: &Value) -> String {
    let mut settings = function(lab, variables);
    settings.timeout = Duration::from_secs(3);
    let run = invoke_with(lab.deploy(settings), event).await;
    let (error_type, message) = failure(&run);
    assert!(!message.contains(TOKEN));
    let mut text = format!("{error_type}: {message}");
    for (value, name) in [(lab.nomad_url(), "NOMAD"), (lab.aws_url(), "AWS")] {
        let address = value.trim_start_matches("http://").to_owned();
        text = text.replace(&value, &format!("http://{name}")).replace(&address, name);
    }
    text
}

fn named(text: &str, worker: &Worker) -> String {
    text.replace(&worker.instance_id, "i-WORKER").replace(&worker.node_id, "NODE")
}

#[tokio::test]
async fn the_message_names_no_instance() {
    let mut event = message("i-0123456789abcdef0");
    event.as_object_mut().unwrap().remove("EC2InstanceId");
    insta::assert_snapshot!(told(&lab().await, &[], &event).await, @"MissingInstanceId: the event cannot be understood: the message names no instance: it has no EC2InstanceId. Send the function the messages of lifecycle hooks (by SNS, SQS, EventBridge or directly), the events of EC2 and AWS Health, and nothing else.");
}

#[tokio::test]
async fn the_message_names_something_that_is_no_instance() {
    let event = message("i-0123\"] or true");
    insta::assert_snapshot!(told(&lab().await, &[], &event).await, @r#"InvalidInstanceId: the event cannot be understood: the message has an invalid EC2InstanceId: "i-0123\"] or true" is not an EC2 instance id (i- and 8 to 17 hexadecimal digits). Send the function the messages of lifecycle hooks (by SNS, SQS, EventBridge or directly), the events of EC2 and AWS Health, and nothing else."#);
}

#[tokio::test]
async fn the_event_is_none_that_we_know() {
    insta::assert_snapshot!(told(&lab().await, &[], &json!({"hello": "world"})).await, @r#"UnknownEvent: the event cannot be understood: this is no event that the function knows: its fields are: "hello". Send the function the messages of lifecycle hooks (by SNS, SQS, EventBridge or directly), the events of EC2 and AWS Health, and nothing else."#);
}

#[tokio::test]
async fn the_instance_is_unknown_to_ec2() {
    let event = message("i-0123456789abcdef0");
    insta::assert_snapshot!(told(&lab().await, &[], &event).await, @"InstanceNotFound: i-0123456789abcdef0 is unknown to EC2 in us-east-1. The instance may be gone already; if not, look whether AWS_REGION is the region of its group.");
}

#[tokio::test]
async fn the_instance_has_no_private_ip() {
    let lab = lab().await;
    let instance_id = lab.aws.add_instance(GROUP, None).unwrap();
    let text = told(&lab, &[], &message(&instance_id)).await;
    insta::assert_snapshot!(text.replace(&instance_id, "i-WORKER"), @"NoPrivateIp: i-WORKER has no private IP address (its state is running). The instance has ended or has not begun to run: nothing of it is left to drain.");
}

#[tokio::test]
async fn ec2_may_not_be_asked() {
    let lab = lab().await;
    lab.aws.deny("ec2:DescribeInstances");
    let instance_id = lab.aws.add_instance(GROUP, None).unwrap();
    let text = told(&lab, &[], &message(&instance_id)).await;
    insta::assert_snapshot!(text.replace(&instance_id, "i-WORKER"), @r#"Ec2Unavailable: EC2 could not be asked for the private IP address of i-WORKER: ec2:DescribeInstances was refused: UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: ec2:DescribeInstances because no identity-based policy allows the ec2:DescribeInstances action (HTTP 403). NODE_LOOKUP=server does without EC2; to ask it, add to the policies of role nomad-drain: {"Action":"ec2:DescribeInstances","Effect":"Allow","Resource":"*"}"#);
}

#[tokio::test]
async fn the_agent_is_unreachable() {
    let lab = lab().await;
    let worker = lab.add_worker(GROUP, 1).unwrap();
    let closed = ClosedPort::at(worker.private_ip);
    let port = closed.number();
    let url = format!("http://{{ip}}:{port}");
    let text =
        told(&lab, &[("NODE_LOOKUP", "agent"), ("NOMAD_AGENT_URL", &url)], &message(&worker.instance_id))
            .await;
    insta::assert_snapshot!(named(&text, &worker).replace(&port.to_string(), "PORT"), @"AgentUnreachable: the Nomad agent of i-WORKER at http://127.0.1.1:PORT is unreachable: GET /v1/agent/self on http://127.0.1.1:PORT got no answer: the connection to 127.0.1.1:PORT was refused. See whether the agent runs, and whether its port can be reached from where this runs (a function in a VPC: with its security group); NODE_LOOKUP=server does without it.");
}

#[tokio::test]
async fn the_token_parameter_is_missing() {
    let lab = lab().await;
    lab.aws.delete_parameter(TOKEN_PARAMETER);
    insta::assert_snapshot!(told(&lab, &[], &message("i-0123456789abcdef0")).await, @"TokenParameterNotFound: SSM parameter /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN, which should hold the Nomad token, does not exist in us-east-1. Create it (aws ssm put-parameter --type SecureString --name /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN --value …), or name another in NOMAD_TOKEN_PARAMETER.");
}

#[tokio::test]
async fn the_token_parameter_may_not_be_read() {
    let lab = lab().await;
    lab.aws.deny("ssm:GetParameter");
    insta::assert_snapshot!(told(&lab, &[], &message("i-0123456789abcdef0")).await, @"TokenParameterAccessDenied: access to SSM parameter /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN, which holds the Nomad token, is denied: ssm:GetParameter was refused: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:us-east-1:123456789012:parameter/lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN because no identity-based policy allows the ssm:GetParameter action (HTTP 400). Allow role nomad-drain ssm:GetParameter on /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN, and kms:Decrypt if a key of your own encrypts it.");
}

#[tokio::test]
async fn the_token_parameter_is_empty() {
    let lab = lab().await;
    lab.aws.put_parameter(TOKEN_PARAMETER, ParameterType::SecureString, " \n");
    insta::assert_snapshot!(told(&lab, &[], &message("i-0123456789abcdef0")).await, @"TokenParameterInvalid: SSM parameter /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN holds no Nomad token: it is empty. Store the token's secret id in it, and nothing else.");
}

#[tokio::test]
async fn the_token_is_refused() {
    let lab = lab().await;
    lab.nomad.delete_token(TOKEN);
    insta::assert_snapshot!(told(&lab, &[], &message("i-0123456789abcdef0")).await, @"NomadTokenRefused: Nomad refused the token in SSM parameter /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN: GET /v1/nodes on http://NOMAD was refused: Permission denied (HTTP 403). The token is unknown, has expired, or lacks a capability: it needs node:write (and agent:read for NODE_LOOKUP=agent). Look at it with: nomad acl token self.");
}

#[tokio::test]
async fn the_cluster_has_no_leader() {
    let lab = lab().await;
    lab.nomad.lose_leader(None);
    insta::assert_snapshot!(told(&lab, &[], &message("i-0123456789abcdef0")).await, @"NoClusterLeader: the Nomad cluster has no leader: GET /v1/nodes on http://NOMAD was refused: No cluster leader (HTTP 500). See to the servers: nomad operator raft list-peers.");
}

#[tokio::test]
async fn the_servers_are_unreachable() {
    let lab = lab().await;
    let closed = ClosedPort::at(Ipv4Addr::LOCALHOST);
    let port = closed.number();
    let url = format!("http://127.0.0.1:{port}");
    let text = told(&lab, &[("NOMAD_ADDR", &url)], &message("i-0123456789abcdef0")).await;
    insta::assert_snapshot!(text.replace(&port.to_string(), "PORT"), @"NomadUnavailable: Nomad could not be asked: GET /v1/nodes on http://127.0.0.1:PORT got no answer: the connection to 127.0.0.1:PORT was refused. See whether NOMAD_ADDR is right, and whether it can be reached from where this runs (a function in a VPC: from its subnets, with its security group).");
}

#[tokio::test]
async fn the_servers_name_does_not_resolve() {
    let lab = lab().await;
    let event = message("i-0123456789abcdef0");
    let text = told(&lab, &[("NOMAD_ADDR", "https://nomad.lab.invalid")], &event).await;
    assert!(text.starts_with("NomadUnavailable: Nomad could not be asked: GET /v1/nodes on https://nomad.lab.invalid got no answer: the name of nomad.lab.invalid:443 could not be resolved"), "{text}");
}

#[tokio::test]
async fn no_node_is_found() {
    let lab = lab().await;
    let text = told(&lab, &[("NODE_LOOKUP", "server")], &message("i-0123456789abcdef0")).await;
    insta::assert_snapshot!(text, @"NodeNotFound: no Nomad node was found for i-0123456789abcdef0: no node's attribute unique.platform.aws.instance-id holds its id. If the instance never joined the cluster there is nothing to drain. If it did, its agent has not read the instance's metadata: restart it, or see NODE_LOOKUP.");
}

#[tokio::test]
async fn the_configuration_is_wrong() {
    let variables = [
        ("NOMAD_ADDR", "nomad"),
        ("DRAIN_DEADLINE", "60"),
        ("NODE_LOOKUP", "best"),
        ("NOMAD_CACERT", "/nowhere/ca.pem"),
    ];
    insta::assert_snapshot!(told(&lab().await, &variables, &json!({})).await, @r#"ConfigurationError: the configuration has 4 problems: NODE_LOOKUP is "best", which is not one of auto, server, agent; NOMAD_CACERT cannot be used: /nowhere/ca.pem cannot be read: No such file or directory (os error 2); NOMAD_ADDR "nomad" is not an address: it has to begin with http:// or https://; DRAIN_DEADLINE is "60", which is not a duration above zero such as 1h30m, 90m, 45s or 200ms (numbers with the units h, m, s, ms). Correct them where they are set: in the function's configuration, or in your environment."#);
}

#[tokio::test]
async fn the_file_of_authorities_is_missing() {
    let text = told(&lab().await, &[("NOMAD_CACERT", "/nowhere/ca.pem")], &json!({})).await;
    insta::assert_snapshot!(text, @"ConfigurationError: the configuration has 1 problem: NOMAD_CACERT cannot be used: /nowhere/ca.pem cannot be read: No such file or directory (os error 2). Correct them where they are set: in the function's configuration, or in your environment.");
}
