//! What is said on `EventBridge` about an instance outside its hooks. No token, and where EC2 speaks, no group: EC2 does
//! not know them.

use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::Account;
use super::activity_event::ActivityEnd;
use super::health::{self, HealthEntity};
use super::instance::Ec2State;

/// Something that EC2 announces, or another service about an instance of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ec2Event {
    /// When.
    pub at: Timestamp,
    /// The account and the region that it comes from.
    pub account: Arc<Account>,
    /// A UUID that differs between events.
    pub id: String,
    /// The instance.
    pub instance_id: String,
    /// The instance's private address at that moment. `EventBridge` does not tell it.
    pub private_ip: Option<Ipv4Addr>,
    /// What happened to it.
    pub news: Ec2News,
}

/// What happened to an instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ec2News {
    /// It is in this state now.
    StateChanged(Ec2State),
    /// It is a spot instance, and will be taken away in two minutes.
    SpotInterruption,
    /// It is a spot instance, and may be taken away before long.
    RebalanceRecommendation,
    /// It runs in a capacity reservation that ends: it will be taken away.
    CapacityReservationInterruption {
        /// When.
        at: Timestamp,
    },
    /// Its host is about to be retired: AWS Health says so, and nothing happens to it.
    ScheduledChange(HealthEntity),
    /// Auto Scaling has launched or terminated it.
    ActivityEnded(Box<ActivityEnd>),
    /// It has a new root volume, and whatever ran on it is gone. `EventBridge` does not tell it.
    RootVolumeReplaced,
}

impl Ec2Event {
    /// The event as `EventBridge` delivers it; nothing if it does not.
    pub fn event_bridge_event(&self) -> Option<Value> {
        let Account { id: account, region, .. } = &*self.account;
        let instance = &self.instance_id;
        // Spot warnings name the availability zone where every other ARN names the region, and no account.
        let of_zone = format!("arn:aws:ec2:{}:instance/{instance}", self.account.zone());
        let of_region = format!("arn:aws:ec2:{region}:{account}:instance/{instance}");
        let mut source = "aws.ec2";
        let (detail_type, resources, detail) = match &self.news {
            Ec2News::StateChanged(state) => (
                "EC2 Instance State-change Notification",
                json!([of_region]),
                json!({"instance-id": instance, "state": state.as_str()}),
            ),
            Ec2News::SpotInterruption => (
                "EC2 Spot Instance Interruption Warning",
                json!([of_zone]),
                json!({"instance-id": instance, "instance-action": "terminate"}),
            ),
            Ec2News::RebalanceRecommendation => {
                ("EC2 Instance Rebalance Recommendation", json!([of_zone]), json!({"instance-id": instance}))
            }
            Ec2News::CapacityReservationInterruption { at } => (
                "EC2 Capacity Reservation Instance Interruption Warning",
                json!([of_region]),
                json!({
                    "instance-id": instance,
                    "instance-action": "terminate",
                    "instance-termination-time": format!("{at:.0}"),
                    "availability-zone-id": "use1-az1",
                    "instance-lifecycle": "capacity-block",
                }),
            ),
            Ec2News::ScheduledChange(entity) => {
                source = "aws.health";
                ("AWS Health Event", Value::Null, health::detail(self, *entity))
            }
            Ec2News::ActivityEnded(end) => {
                source = "aws.autoscaling";
                end.parts(self)
            }
            Ec2News::RootVolumeReplaced => return None,
        };
        let mut event = json!({
            "version": "0",
            "id": self.id,
            "detail-type": detail_type,
            "source": source,
            "account": account,
            "time": format!("{:.0}", self.at),
            "region": region,
            "detail": detail,
        });
        // AWS Health leaves them out.
        if !resources.is_null() {
            event["resources"] = resources;
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(news: Ec2News) -> Value {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let instance_id = "i-1234567890abcdef0".into();
        let (id, private_ip) = ("id".into(), None);
        Ec2Event { at, account: Arc::default(), id, instance_id, private_ip, news }
            .event_bridge_event()
            .unwrap()
    }

    #[test]
    fn a_spot_warning_names_the_zone_in_its_arn() {
        let event = event(Ec2News::SpotInterruption);
        assert_eq!(event["detail-type"], "EC2 Spot Instance Interruption Warning");
        assert_eq!(event["resources"], json!(["arn:aws:ec2:us-east-1a:instance/i-1234567890abcdef0"]));
        assert_eq!(
            event["detail"],
            json!({"instance-id": "i-1234567890abcdef0", "instance-action": "terminate"})
        );
    }

    #[test]
    fn a_state_change_names_the_state() {
        let event = event(Ec2News::StateChanged(Ec2State::ShuttingDown));
        assert_eq!(event["detail"]["state"], "shutting-down");
    }

    #[test]
    fn a_capacity_reservation_that_ends_says_when() {
        let at = "2026-01-01T00:02:00Z".parse().unwrap();
        let event = event(Ec2News::CapacityReservationInterruption { at });
        assert_eq!(event["detail-type"], "EC2 Capacity Reservation Instance Interruption Warning");
        assert_eq!(event["detail"]["instance-id"], "i-1234567890abcdef0");
        assert_eq!(event["detail"]["instance-termination-time"], "2026-01-01T00:02:00Z");
    }

    #[test]
    fn a_scheduled_change_names_the_instance_in_one_of_two_ways_and_no_resources() {
        for (entity, named) in [
            (HealthEntity::Arn, "arn:aws:ec2:us-east-1:123456789012:instance/i-1234567890abcdef0"),
            (HealthEntity::InstanceId, "i-1234567890abcdef0"),
        ] {
            let event = event(Ec2News::ScheduledChange(entity));
            assert_eq!(
                (&event["source"], &event["detail-type"]),
                (&json!("aws.health"), &json!("AWS Health Event"))
            );
            assert_eq!(event.get("resources"), None);
            let detail = &event["detail"];
            assert_eq!(detail["affectedEntities"][0]["entityValue"], named);
            assert_eq!(detail["eventTypeCategory"], "scheduledChange");
            assert_eq!(detail["startTime"], "Thu, 15 Jan 2026 00:00:00 GMT");
            assert_eq!((&detail["page"], &detail["backupEvent"]), (&json!("1"), &json!("false")));
        }
    }
}
