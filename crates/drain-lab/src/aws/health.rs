//! What AWS Health says about an instance: that its host is about to be retired.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::account::Account;
use super::ec2_event::Ec2Event;

/// How long before the change AWS Health tells of it.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// In which of two ways AWS Health names an instance. It is known to use both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HealthEntity {
    /// `arn:aws:ec2:us-east-1:123456789012:instance/i-…`.
    Arn,
    /// `i-…`.
    InstanceId,
}

/// The `detail` of the event.
pub(super) fn detail(event: &Ec2Event, entity: HealthEntity) -> Value {
    let Account { id: account, region, .. } = &*event.account;
    let instance = &event.instance_id;
    let entity = match entity {
        HealthEntity::Arn => format!("arn:aws:ec2:{region}:{account}:instance/{instance}"),
        HealthEntity::InstanceId => instance.clone(),
    };
    let code = "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED";
    let (now, start) = (http_date(event.at), http_date(event.at + NOTICE));
    json!({
        "eventArn": format!("arn:aws:health:{region}::event/EC2/{code}/{code}_{}", event.id),
        "service": "EC2",
        "eventTypeCode": code,
        "eventTypeCategory": "scheduledChange",
        "eventScopeCode": "ACCOUNT_SPECIFIC",
        "communicationId": format!("{}-1", event.id),
        "startTime": start,
        "lastUpdatedTime": now,
        "statusCode": "open",
        "eventRegion": region,
        "eventDescription": [{"language": "en_US", "latestDescription": "The instance will be retired."}],
        "affectedEntities": [{"entityValue": entity, "lastUpdatedTime": now, "status": "PENDING"}],
        "affectedAccount": account,
        "page": "1",
        "totalPages": "1",
        "backupEvent": "false",
        "personas": ["OPERATIONS"],
        "actionability": "ACTION_REQUIRED",
    })
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
