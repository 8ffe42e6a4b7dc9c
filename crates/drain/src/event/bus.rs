//! What `EventBridge` tells: of Auto Scaling's hooks and activities, of EC2's instances, of AWS Health's plans.

use drain_core::ids::{GroupName, InstanceId};
use drain_core::observation::{Cause, Ending, Errand, Origin, Target};
use drain_core::reason::Reason;
use jiff::Timestamp;

use super::json::Fields;
use super::lifecycle::{INSTANCE, Via, about, descriptive, instance_id, moment, needed, parse_action};
use super::{EventError, Ignored, Message, Scope, health, ignored, quoted};

/// Where EC2 names the instance.
const INSTANCE_ID: &str = "instance-id";

/// Whether it is one of its events, by the fields that no other message has.
pub(super) fn is_from_bus(event: &Fields<'_>) -> bool {
    event.has("detail-type") && event.has("source")
}

/// What an event asks for.
pub(super) fn parse_event(event: &Fields<'_>, scope: &Scope<'_>) -> Result<Vec<Message>, EventError> {
    let (source, kind) = (event.text("source"), event.text("detail-type"));
    let (source, kind) = (source.as_deref().unwrap_or_default(), kind.as_deref().unwrap_or_default());
    let detail = event.object("detail").unwrap_or_default();
    let told_at = moment(event, "time");
    let one = |message: Result<Message, EventError>| message.map(|message| vec![message]);
    match source {
        "aws.autoscaling" => one(of_auto_scaling(kind, &detail, told_at, scope)),
        "aws.ec2" => one(of_ec2(kind, &detail, told_at, scope)),
        "aws.health" if kind == "AWS Health Event" => health::parse_event(&detail, told_at, scope),
        _ => {
            let explanation = format!("{} of {} on EventBridge", quoted(kind), quoted(source));
            Ok(vec![ignored(Reason::ForeignMessage, &explanation)])
        }
    }
}

fn of_auto_scaling(
    kind: &str,
    detail: &Fields<'_>,
    told_at: Option<Timestamp>,
    scope: &Scope<'_>,
) -> Result<Message, EventError> {
    let transition = match kind {
        "EC2 Instance-terminate Lifecycle Action" => "autoscaling:EC2_INSTANCE_TERMINATING",
        "EC2 Instance-launch Lifecycle Action" => "autoscaling:EC2_INSTANCE_LAUNCHING",
        "EC2 Instance Terminate Successful" if is_back_in_pool(detail) => {
            let explanation = format!("{}, of an instance that is in its warm pool now", quoted(kind));
            return Ok(Message::Ignored(about(detail, Reason::GroupNotification, explanation)));
        }
        "EC2 Instance Terminate Successful" => {
            let instance = needed(detail, INSTANCE)?;
            let group = descriptive(detail, "AutoScalingGroupName", GroupName::parse);
            return ended(instance, INSTANCE, group, Ending::Terminated, told_at, scope);
        }
        _ => {
            let explanation =
                format!("{}, an ordinary event of the group, not a lifecycle action", quoted(kind));
            return Ok(Message::Ignored(about(detail, Reason::GroupNotification, explanation)));
        }
    };
    let told = needed(detail, "LifecycleTransition")?;
    let via = Via { origin: Origin::Bus, told_at, hooks: Some(scope.bus_hooks) };
    parse_action(detail, told.as_deref().unwrap_or(transition), &via, scope)
}

/// Whether an instance has only left its group for the warm pool, from where it comes back with its node.
fn is_back_in_pool(detail: &Fields<'_>) -> bool {
    detail.text("Destination").as_deref() == Some("WarmPool")
}

fn of_ec2(
    kind: &str,
    detail: &Fields<'_>,
    told_at: Option<Timestamp>,
    scope: &Scope<'_>,
) -> Result<Message, EventError> {
    let instance = needed(detail, INSTANCE_ID)?;
    let drain = |cause| {
        let instance = instance_id(instance.clone(), INSTANCE_ID)?;
        Ok(announced(instance, Errand::Drain(cause), None, told_at))
    };
    match kind {
        "EC2 Spot Instance Interruption Warning"
        | "EC2 Capacity Reservation Instance Interruption Warning" => drain(Cause::Spot),
        "EC2 Instance Rebalance Recommendation" if scope.rebalance => drain(Cause::Rebalance),
        "EC2 Instance Rebalance Recommendation" => Ok(of_instance(
            instance,
            Reason::RebalanceIgnored,
            "a rebalance recommendation, and ON_REBALANCE is ignore",
        )),
        "EC2 Instance State-change Notification" => {
            let state = needed(detail, "state")?.unwrap_or_default();
            match state.as_str() {
                "stopping" | "shutting-down" => drain(Cause::StateChange),
                "stopped" => ended(instance, INSTANCE_ID, None, Ending::Stopped, told_at, scope),
                "terminated" => ended(instance, INSTANCE_ID, None, Ending::Terminated, told_at, scope),
                _ => {
                    let explanation = format!("an instance that is {} now", quoted(&state));
                    Ok(of_instance(instance, Reason::InstanceRunning, &explanation))
                }
            }
        }
        _ => Ok(of_instance(instance, Reason::ForeignMessage, &format!("{} of EC2", quoted(kind)))),
    }
}

/// An instance that has ended: its node may be purged.
fn ended(
    instance: Option<String>,
    field: &'static str,
    group: Option<GroupName>,
    ending: Ending,
    told_at: Option<Timestamp>,
    scope: &Scope<'_>,
) -> Result<Message, EventError> {
    if scope.purge {
        return Ok(announced(instance_id(instance, field)?, Errand::Purge(ending), group, told_at));
    }
    Ok(of_instance(instance, Reason::InstanceEnded, "an instance that has ended, and PURGE_NODES is off"))
}

/// An instance that everybody is told of.
pub(super) fn announced(
    instance: InstanceId,
    errand: Errand,
    group: Option<GroupName>,
    told_at: Option<Timestamp>,
) -> Message {
    let target = Target {
        instance,
        group,
        hook: None,
        token: None,
        errand,
        told_at,
        hook_started_at: None,
        origin: Origin::Broadcast,
    };
    Message::Target(target, None)
}

/// Something about an instance that is ignored.
pub(super) fn of_instance(instance: Option<String>, reason: Reason, explanation: &str) -> Message {
    let instance = instance.and_then(|text| InstanceId::parse(&text).ok());
    let explanation = explanation.to_owned();
    Message::Ignored(Ignored { reason, instance, group: None, hook: None, explanation })
}
