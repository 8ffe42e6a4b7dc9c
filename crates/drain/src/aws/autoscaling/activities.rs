//! Scaling activities: since when a group has been ending an instance.

use std::time::Duration;

use drain_core::ids::{GroupName, InstanceId};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Members, Page, call, form, operation, read, skip_invalid, token};
use crate::aws::{Aws, AwsError};

/// Something that a group has done or is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Activity {
    /// The instance that it takes out of service; `None` if it brings one in, or is about none.
    pub instance: Option<InstanceId>,
    /// What AWS says that it is: `Terminating EC2 instance: i-0123456789abcdef0`.
    pub description: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Whether it is over, with success or without.
    pub ended: bool,
}

/// The activities of a group in the last six weeks, a hundred a page, the latest first. AWS does not promise that
/// order for those that began at almost the same time. IAM: `autoscaling:DescribeScalingActivities` on `*`.
pub async fn describe_scaling_activities(
    aws: &Aws,
    group: &GroupName,
    next: Option<&str>,
    timeout: Duration,
) -> Result<Page<Activity>, AwsError> {
    const OPERATION: &str = operation!("DescribeScalingActivities");
    let form = form("DescribeScalingActivities")
        .with("AutoScalingGroupName", group)
        .with("MaxRecords", 100)
        .with_optional("NextToken", next);
    let answer = call(aws, OPERATION, form, timeout).await?;
    parse(OPERATION, &String::from_utf8_lossy(&answer))
}

fn parse(operation: &str, xml: &str) -> Result<Page<Activity>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        activities: Members<Described>,
        next_token: Option<String>,
    }
    let answer: Answer = read(operation, xml)?;
    let activities = answer.activities.members.into_iter();
    Ok(Page { items: activities.filter_map(Described::activity).collect(), next: token(answer.next_token) })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Described {
    description: String,
    start_time: String,
    end_time: String,
    status_code: String,
}

impl Described {
    fn activity(self) -> Option<Activity> {
        let over = matches!(self.status_code.as_str(), "Successful" | "Failed" | "Cancelled");
        Some(Activity {
            instance: taken_out(&self.description),
            started_at: skip_invalid("an activity", self.start_time.parse::<Timestamp>())?,
            ended: over || !self.end_time.is_empty(),
            description: self.description,
        })
    }
}

/// The instance that a description says goes out of service.
///
/// AWS documents `Terminating EC2 instance: i-…` and no wording for a return to the warm pool or a new root volume. So
/// every wording counts, except those that are known to mean something else.
fn taken_out(description: &str) -> Option<InstanceId> {
    let words = description.to_ascii_lowercase();
    if ["launching", "attaching", "detaching"].iter().any(|verb| words.starts_with(verb))
        || words.contains("standby")
    {
        return None;
    }
    let mut parts = description.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    parts.find_map(|part| InstanceId::parse(part).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activities_tell_since_when_an_instance_is_on_its_way_out() {
        let xml = r#"<DescribeScalingActivitiesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
              <DescribeScalingActivitiesResult>
                <Activities>
                  <member>
                    <StatusCode>MidLifecycleAction</StatusCode>
                    <Progress>60</Progress>
                    <ActivityId>c2a626be-1a5b-d9a0-25d3-5c8e1EXAMPLE</ActivityId>
                    <StartTime>2026-08-19T20:53:29.930Z</StartTime>
                    <AutoScalingGroupName>nomad-clients</AutoScalingGroupName>
                    <Cause>At 2026-08-19T20:53:25Z instance i-08406e13ee788fc10 was taken out of service.</Cause>
                    <Details>{"Subnet ID":"subnet-5ea0c127","Availability Zone":"us-west-2a"}</Details>
                    <Description>Terminating EC2 instance: i-05cb632e69f1e72c5</Description>
                  </member>
                  <member>
                    <StatusCode>Failed</StatusCode>
                    <Progress>100</Progress>
                    <StartTime>2026-08-19T20:00:00Z</StartTime>
                    <EndTime>2026-08-19T20:00:02Z</EndTime>
                    <Description>Launching a new EC2 instance.  Status Reason: no capacity. Launching EC2 instance failed.</Description>
                  </member>
                  <member>
                    <StatusCode>Successful</StatusCode>
                    <StartTime>sometime</StartTime>
                    <Description>Terminating EC2 instance: i-4ba0837f</Description>
                  </member>
                </Activities>
                <NextToken>page-2</NextToken>
              </DescribeScalingActivitiesResult>
            </DescribeScalingActivitiesResponse>"#;
        let page = parse("operation", xml).unwrap();
        assert_eq!(page.next.as_deref(), Some("page-2"));
        let [ending, launch] = &page.items[..] else { panic!("{page:?}") };
        assert_eq!(
            ending,
            &Activity {
                instance: Some(InstanceId::parse("i-05cb632e69f1e72c5").unwrap()),
                description: "Terminating EC2 instance: i-05cb632e69f1e72c5".to_owned(),
                started_at: "2026-08-19T20:53:29.930Z".parse().unwrap(),
                ended: false,
            }
        );
        assert_eq!((&launch.instance, launch.ended), (&None, true));
    }

    #[test]
    fn a_group_without_activities_has_an_empty_page() {
        let xml = "<R><DescribeScalingActivitiesResult><Activities/></DescribeScalingActivitiesResult></R>";
        assert_eq!(parse("operation", xml).unwrap(), Page { items: Vec::new(), next: None });
    }

    #[test]
    fn an_instance_goes_out_unless_the_words_say_otherwise() {
        let id = "i-05cb632e69f1e72c5";
        for out in
            ["Terminating EC2 instance: ", "Moving EC2 instance to warm pool: ", "Replacing root volume of "]
        {
            assert_eq!(taken_out(&format!("{out}{id}.")).unwrap().as_str(), id, "{out}");
        }
        for other in [
            "Launching a new EC2 instance: ",
            "Launching a new EC2 instance from warm pool: ",
            "Launching a new EC2 instance into warm pool: ",
            "Attaching an existing EC2 instance: ",
            "Detaching EC2 instance: ",
            "Moving EC2 instance to Standby: ",
            "Moving EC2 instance out of Standby: ",
        ] {
            assert_eq!(taken_out(&format!("{other}{id}")), None, "{other}");
        }
        assert_eq!(taken_out("Terminating EC2 instance: i-br234123"), None);
    }
}
