//! Lifecycle hooks.

use std::time::Duration;

use drain_core::ids::{GroupName, HookName};
use drain_core::policy::ActionResult;
use jiff::SignedDuration;
use serde::Deserialize;

use super::{Members, call, form, operation, read, skip_invalid};
use crate::aws::{Aws, AwsError};

/// A group's lifecycle hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// Its name.
    pub name: HookName,
    /// Whether it holds instances that end (`autoscaling:EC2_INSTANCE_TERMINATING`), not those that start.
    pub terminating: bool,
    /// How long an instance waits after the hook's start or its last heartbeat.
    pub heartbeat_timeout: SignedDuration,
    /// How long an instance waits at most, from the hook's start, whatever the heartbeats.
    pub global_timeout: SignedDuration,
    /// What a time-out does.
    pub default_result: ActionResult,
    /// What whoever set it up says with every message (`NotificationMetadata`).
    pub metadata: Option<String>,
    /// The ARN of what its messages are sent to; `None` if only `EventBridge` tells of it.
    pub target: Option<String>,
    /// The ARN of the role with which they are sent there (`RoleARN`), if the target needs one.
    pub role: Option<String>,
}

/// The hooks of a group, at most fifty: AWS gives them in one page. An unknown group is an error
/// ([`AwsError::is_gone_group`]). IAM: `autoscaling:DescribeLifecycleHooks` on `*`.
pub async fn describe_lifecycle_hooks(
    aws: &Aws,
    group: &GroupName,
    timeout: Duration,
) -> Result<Vec<Hook>, AwsError> {
    const OPERATION: &str = operation!("DescribeLifecycleHooks");
    let form = form("DescribeLifecycleHooks").with("AutoScalingGroupName", group);
    let answer = call(aws, OPERATION, form, timeout).await?;
    parse(OPERATION, &String::from_utf8_lossy(&answer))
}

fn parse(operation: &str, xml: &str) -> Result<Vec<Hook>, AwsError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default, rename = "LifecycleHooks")]
        hooks: Members<Described>,
    }
    let answer: Answer = read(operation, xml)?;
    Ok(answer.hooks.members.into_iter().filter_map(Described::hook).collect())
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Described {
    lifecycle_hook_name: String,
    lifecycle_transition: String,
    heartbeat_timeout: Option<u32>,
    global_timeout: Option<u32>,
    default_result: String,
    notification_metadata: Option<String>,
    #[serde(rename = "NotificationTargetARN")]
    notification_target_arn: Option<String>,
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
}

impl Described {
    /// The defaults are those of `PutLifecycleHook`.
    fn hook(self) -> Option<Hook> {
        const LONGEST: u32 = 48 * 60 * 60;
        let heartbeat = self.heartbeat_timeout.unwrap_or(3600);
        let global = self.global_timeout.unwrap_or(heartbeat.saturating_mul(100).min(LONGEST));
        Some(Hook {
            name: skip_invalid("a lifecycle hook", HookName::parse(&self.lifecycle_hook_name))?,
            terminating: self.lifecycle_transition == "autoscaling:EC2_INSTANCE_TERMINATING",
            heartbeat_timeout: SignedDuration::from_secs(heartbeat.into()),
            global_timeout: SignedDuration::from_secs(global.into()),
            default_result: match self.default_result.as_str() {
                "CONTINUE" => ActionResult::Continue,
                _ => ActionResult::Abandon,
            },
            metadata: self.notification_metadata,
            target: self.notification_target_arn.filter(|arn| !arn.is_empty()),
            role: self.role_arn.filter(|arn| !arn.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(members: &str) -> Vec<Hook> {
        let xml = format!(
            r#"<DescribeLifecycleHooksResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
              <DescribeLifecycleHooksResult><LifecycleHooks>{members}</LifecycleHooks></DescribeLifecycleHooksResult>
              <ResponseMetadata><RequestId>ec3dffe0-7d1e-11e5-a0b2-EXAMPLE</RequestId></ResponseMetadata>
            </DescribeLifecycleHooksResponse>"#
        );
        parse("operation", &xml).unwrap()
    }

    #[test]
    fn hooks_come_with_their_time_outs() {
        let found = hooks(
            "<member>
               <AutoScalingGroupName>nomad-clients</AutoScalingGroupName>
               <RoleARN>arn:aws:iam::123456789012:role/my-auto-scaling-role</RoleARN>
               <LifecycleTransition>autoscaling:EC2_INSTANCE_TERMINATING</LifecycleTransition>
               <GlobalTimeout>90000</GlobalTimeout>
               <LifecycleHookName>nomad-drain-hook</LifecycleHookName>
               <HeartbeatTimeout>900</HeartbeatTimeout>
               <DefaultResult>CONTINUE</DefaultResult>
               <NotificationMetadata>{&quot;DRAIN_DEADLINE&quot;:&quot;4h&quot;}</NotificationMetadata>
               <NotificationTargetARN>arn:aws:sns:us-west-2:123456789012:my-sns-topic</NotificationTargetARN>
             </member>
             <member>
               <LifecycleHookName>nomad-launch-hook</LifecycleHookName>
               <LifecycleTransition>autoscaling:EC2_INSTANCE_LAUNCHING</LifecycleTransition>
               <GlobalTimeout>172800</GlobalTimeout>
               <HeartbeatTimeout>3600</HeartbeatTimeout>
               <DefaultResult>ABANDON</DefaultResult>
             </member>",
        );
        assert_eq!(
            found,
            [
                Hook {
                    name: HookName::parse("nomad-drain-hook").unwrap(),
                    terminating: true,
                    heartbeat_timeout: SignedDuration::from_mins(15),
                    global_timeout: SignedDuration::from_hours(25),
                    default_result: ActionResult::Continue,
                    metadata: Some(r#"{"DRAIN_DEADLINE":"4h"}"#.to_owned()),
                    target: Some("arn:aws:sns:us-west-2:123456789012:my-sns-topic".to_owned()),
                    role: Some("arn:aws:iam::123456789012:role/my-auto-scaling-role".to_owned()),
                },
                Hook {
                    name: HookName::parse("nomad-launch-hook").unwrap(),
                    terminating: false,
                    heartbeat_timeout: SignedDuration::from_hours(1),
                    global_timeout: SignedDuration::from_hours(48),
                    default_result: ActionResult::Abandon,
                    metadata: None,
                    target: None,
                    role: None,
                },
            ]
        );
    }

    #[test]
    fn without_a_global_time_out_it_is_a_hundred_heartbeats_and_two_days_at_most() {
        let global = |heartbeat: &str| {
            let hook = format!("<member><LifecycleHookName>h</LifecycleHookName>{heartbeat}</member>");
            hooks(&hook)[0].global_timeout
        };
        assert_eq!(global("<HeartbeatTimeout>60</HeartbeatTimeout>"), SignedDuration::from_secs(6000));
        assert_eq!(global("<HeartbeatTimeout>7200</HeartbeatTimeout>"), SignedDuration::from_hours(48));
        assert_eq!(global(""), SignedDuration::from_hours(48));
    }

    #[test]
    fn a_group_without_hooks_has_an_empty_list() {
        assert_eq!(hooks(""), []);
    }

    #[test]
    fn a_time_out_that_is_no_number_is_an_error() {
        let xml = "<R><DescribeLifecycleHooksResult><LifecycleHooks><member><LifecycleHookName>h</LifecycleHookName>\
                   <HeartbeatTimeout>soon</HeartbeatTimeout></member></LifecycleHooks></DescribeLifecycleHooksResult></R>";
        assert!(matches!(parse("operation", xml), Err(AwsError::Unreadable { .. })));
    }
}
