//! What people see, whole: of a deployment in which everything is right, and of one in which several things are not.

use drain_lab::aws::{OPERATOR, ParameterType};
use drain_lab::lab::TOKEN_PARAMETER;

use super::{Clinic, FUNCTION};
use crate::stage::{GROUP, Ran};

/// What is printed, without what is another in every run.
async fn printed(clinic: &Clinic) -> String {
    let ran = Ran::of(clinic.doctor(&["--function", FUNCTION])).await;
    assert_eq!(ran.err, "");
    let text = ran.out.replace(&clinic.stage.nomad_url(), "http://NOMAD");
    let ids = clinic.stage.aws.instances(GROUP).into_iter().map(|instance| instance.id);
    let text =
        ids.enumerate().fold(text, |text, (number, id)| text.replace(&id, &format!("INSTANCE-{number}")));
    text.replace("ran less than a minute ago", "ran lately").replace("ran 1m ago", "ran lately")
}

#[tokio::test]
async fn everything_right() {
    let clinic = Clinic::open().await;
    insta::assert_snapshot!(printed(&clinic).await, @"
    nomad-drain doctor, function nomad-drain, account 123456789012 in us-east-1

    Configuration
      ok           the variables of function nomad-drain: valid, for the cluster at http://NOMAD

    Who you are, and the function
      ok           arn:aws:sts::123456789012:assumed-role/operator/operator: account 123456789012, region us-east-1
      ok           nomad-drain: arn:aws:lambda:us-east-1:123456789012:function:nomad-drain, time-out 15s

    Auto Scaling groups and their hooks
      ok           workers: 2 instances in service, hook nomad-drain-hook

    Times, and what a time-out does
      ok           workers, nomad-drain-hook: deadline 1h, HeartbeatTimeout 1h, held for 2h at most, then CONTINUE

    The way from the hook to the function
      ok           workers, nomad-drain-hook: the hook → topic nomad-drain → nomad-drain

    What the function's role may do
      ok           role nomad-drain: all 8 actions that this configuration needs are allowed, as IAM simulates it

    Nomad
      ok           http://NOMAD: 1 server of version 2.0.5, led by 10.0.0.1:4647

    The Nomad token
      ok           the token in SSM parameter /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN: without an end, policies nomad-drain: it may drain, and sees every namespace

    The groups' instances in Nomad
      ok           workers: each of its 2 instances in service has its node

    The sweep
      ok           the sweep: it ran lately

    Queues and dead letters
      ok           events: no queue is on the way, and events that the function gives up are kept

    12 ok. A drain would work.
    ");
}

#[tokio::test]
async fn several_things_wrong() {
    let clinic = Clinic::open().await;
    clinic.deployment.remove_permission();
    clinic.deployment.change_hook(GROUP, |hook| hook.heartbeat_timeout = 120);
    clinic.deployment.disable_schedule();
    clinic.deployment.forget_sweeps();
    clinic.stage.aws.deny("autoscaling:CompleteLifecycleAction");
    clinic.stage.aws.deny_to(OPERATOR, "lambda:GetFunctionEventInvokeConfig");
    clinic.stage.aws.put_parameter(
        TOKEN_PARAMETER,
        ParameterType::SecureString,
        "11112222-3333-4444-5555-666677778888",
    );
    insta::assert_snapshot!(printed(&clinic).await, @r#"
    nomad-drain doctor, function nomad-drain, account 123456789012 in us-east-1

    Configuration
      ok           the variables of function nomad-drain: valid, for the cluster at http://NOMAD

    Who you are, and the function
      ok           arn:aws:sts::123456789012:assumed-role/operator/operator: account 123456789012, region us-east-1
      ok           nomad-drain: arn:aws:lambda:us-east-1:123456789012:function:nomad-drain, time-out 15s

    Auto Scaling groups and their hooks
      ok           workers: 2 instances in service, hook nomad-drain-hook

    Times, and what a time-out does
      warning      workers, nomad-drain-hook: its HeartbeatTimeout is 2m: an instance does not outlive a sweep that is late or missing [heartbeat-timeout-short]
                   300 s or more are supported with a sweep:
                     aws autoscaling put-lifecycle-hook --auto-scaling-group-name workers --lifecycle-hook-name nomad-drain-hook --heartbeat-timeout 300

    The way from the hook to the function
      ERROR        workers, nomad-drain-hook: function nomad-drain does not let topic nomad-drain call it [function-permission-missing]
                   Allow it:
                     aws lambda add-permission --function-name nomad-drain --statement-id sns --action lambda:InvokeFunction --principal sns.amazonaws.com --source-arn arn:aws:sns:us-east-1:123456789012:nomad-drain

    What the function's role may do
      ERROR        role nomad-drain: it may not autoscaling:CompleteLifecycleAction: no policy allows it. Without it: completion_denied: the hook's time-out ends it [permission-missing]
                   Add to the role's policy:
                     {"Action":"autoscaling:CompleteLifecycleAction","Effect":"Allow","Resource":"arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/workers"}

    Nomad
      not checked  http://NOMAD: skipped: the version of its servers. First see to the token, below [skipped]

    The Nomad token
      ERROR        the token: Nomad refused the token in SSM parameter /lab-aws-us-east-1/broker/secrets/NOMAD_TOKEN: GET /v1/acl/token/self on http://NOMAD was refused: Permission denied (HTTP 403) [token-refused]
                   The token is unknown, has expired, or lacks a capability: it needs node:write (and agent:read for NODE_LOOKUP=agent). Look at it with: nomad acl token self.

    The groups' instances in Nomad
      not checked  workers: skipped: whether each of its instances has one node in Nomad. First see to the token, above [skipped]

    The sweep
      ERROR        the sweep: SWEEP is on, none has run in three hours, and its rule nomad-drain-sweep is disabled [sweep-schedule-disabled]
                   Enable it:
                     aws events enable-rule --name nomad-drain-sweep

    Queues and dead letters
      not checked  nomad-drain: whether events that it gives up are kept. You may not call lambda:GetFunctionEventInvokeConfig [not-checked]
                   Run it as somebody who is allowed lambda:GetFunctionEventInvokeConfig.

    4 errors, 1 warning, 3 not checked, 4 ok. A drain would fail.
    Every code in brackets is explained in docs/doctor.md.
    "#);
}
