//! What Auto Scaling says when it has launched or terminated an instance. There is no hook in it, and no token.

use serde_json::{Value, json};

use super::account::Account;
use super::ec2_event::Ec2Event;
use super::hook::Transition;
use super::instance::Activity;

/// The end of a scaling activity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActivityEnd {
    /// Whether an instance was launched or terminated.
    pub transition: Transition,
    /// The group's name.
    pub group: String,
    /// The group's ARN.
    pub group_arn: String,
    /// The activity.
    pub activity: Activity,
    /// Where the instance came from: `EC2`, `AutoScalingGroup`, `WarmPool`.
    pub origin: &'static str,
    /// Where it went.
    pub destination: &'static str,
}

impl ActivityEnd {
    /// The end of `detail-type`, the ARNs and `detail` on `EventBridge`. `event` is what announces it.
    pub(super) fn parts(&self, event: &Ec2Event) -> (&'static str, Value, Value) {
        let Account { id: account, region, .. } = &*event.account;
        let Self { group, group_arn, activity, .. } = self;
        let instance = &event.instance_id;
        let detail_type = match self.transition {
            Transition::Launching => "EC2 Instance Launch Successful",
            Transition::Terminating => "EC2 Instance Terminate Successful",
        };
        let resources = json!([group_arn, format!("arn:aws:ec2:{region}:{account}:instance/{instance}")]);
        let detail = json!({
            // The activity as it was a moment before its end: AWS's own example has it so.
            "StatusCode": "InProgress",
            "Description": activity.description,
            "AutoScalingGroupName": group,
            "ActivityId": activity.id,
            "Details": details(event),
            "RequestId": activity.id,
            "StatusMessage": "",
            "EndTime": format!("{:.0}", event.at),
            "EC2InstanceId": instance,
            "StartTime": format!("{:.0}", activity.started_at),
            "Cause": activity.cause,
            "Origin": self.origin,
            "Destination": self.destination,
        });
        (detail_type, resources, detail)
    }

    /// The message of a group that has a topic for notifications: `autoscaling:EC2_INSTANCE_TERMINATE` and the like.
    /// Such a topic may be the one of a hook. `event` is what announces the end of the activity.
    pub fn group_notification(&self, event: &Ec2Event) -> Value {
        let what = match self.transition {
            Transition::Launching => "autoscaling:EC2_INSTANCE_LAUNCH",
            Transition::Terminating => "autoscaling:EC2_INSTANCE_TERMINATE",
        };
        let at = format!("{:.3}", event.at);
        let activity = &self.activity;
        json!({
            "Origin": self.origin,
            "Destination": self.destination,
            "Progress": 50,
            "AccountId": event.account.id,
            "Description": activity.description,
            "RequestId": activity.id,
            "EndTime": at,
            "AutoScalingGroupARN": self.group_arn,
            "ActivityId": activity.id,
            "StartTime": format!("{:.3}", activity.started_at),
            "Service": "AWS Auto Scaling",
            "Time": at,
            "EC2InstanceId": event.instance_id,
            "StatusCode": "InProgress",
            "StatusMessage": "",
            "Details": details(event),
            "AutoScalingGroupName": self.group,
            "Cause": activity.cause,
            "Event": what,
        })
    }
}

fn details(event: &Ec2Event) -> Value {
    json!({"Subnet ID": "subnet-0abcdef1234567890", "Availability Zone": event.account.zone()})
}

#[cfg(test)]
mod tests {
    use super::super::{Ec2News, Event};
    use crate::aws::{Aws, GroupSettings};
    use crate::clock::Clock;
    use crate::faults::Faults;
    use crate::journal::Journal;

    use super::*;

    /// What `EventBridge` and the group's own topic hear when activities end.
    fn told(story: impl FnOnce(&Aws, &Clock)) -> Vec<(Value, Value)> {
        let clock = Clock::stopped_at("2026-01-01T00:00:00Z".parse().unwrap());
        let aws = Aws::new(clock.clone(), Journal::off(clock.clone()), Faults::default());
        aws.create_group(GroupSettings::named("workers"));
        let mut events = aws.events();
        story(&aws, &clock);
        aws.next_due();
        std::iter::from_fn(|| events.try_recv().ok())
            .filter_map(|event| {
                let Event::Ec2(event) = event else { return None };
                let Ec2News::ActivityEnded(end) = &event.news else { return None };
                Some((event.event_bridge_event().unwrap(), end.group_notification(&event)))
            })
            .collect()
    }

    #[test]
    fn the_end_of_a_termination_is_told_when_the_instance_is_gone() {
        let told = told(|aws, clock| {
            let id = aws.add_instance("workers", None).unwrap();
            aws.terminate_instance(&id).unwrap();
            clock.advance(std::time::Duration::from_secs(10));
        });
        let [(event, notification)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(event["detail-type"], "EC2 Instance Terminate Successful");
        assert_eq!(event["source"], "aws.autoscaling");
        assert_eq!(event["resources"].as_array().unwrap().len(), 2);
        let detail = &event["detail"];
        let id = detail["EC2InstanceId"].as_str().unwrap();
        assert_eq!(
            *detail,
            json!({
                "StatusCode": "InProgress",
                "Description": format!("Terminating EC2 instance: {id}"),
                "AutoScalingGroupName": "workers",
                "ActivityId": detail["ActivityId"],
                "Details": {"Subnet ID": "subnet-0abcdef1234567890", "Availability Zone": "us-east-1a"},
                "RequestId": detail["RequestId"],
                "StatusMessage": "",
                "EndTime": "2026-01-01T00:00:10Z",
                "EC2InstanceId": id,
                "StartTime": "2026-01-01T00:00:00Z",
                "Cause": "At 2026-01-01T00:00:00Z the lab asked for it.",
                "Origin": "AutoScalingGroup",
                "Destination": "EC2",
            })
        );
        assert_eq!(notification["Event"], "autoscaling:EC2_INSTANCE_TERMINATE");
        assert_eq!(notification["EndTime"], "2026-01-01T00:00:10.000Z");
        assert_eq!(notification.get("LifecycleActionToken"), None);
    }

    #[test]
    fn the_end_of_a_launch_says_where_the_instance_came_from() {
        let told = told(|aws, _| {
            let id = aws.launch_instance("workers", None).unwrap();
            aws.return_to_warm_pool(&id).unwrap();
            aws.launch_from_warm_pool(&id).unwrap();
        });
        let launches: Vec<_> = told
            .iter()
            .map(|(event, _)| (event["detail-type"].as_str().unwrap(), event["detail"]["Origin"].as_str()))
            .collect();
        let launch = "EC2 Instance Launch Successful";
        assert_eq!(launches, [(launch, Some("EC2")), (launch, Some("WarmPool"))]);
        assert_eq!(told[0].1["Event"], "autoscaling:EC2_INSTANCE_LAUNCH");
    }
}
