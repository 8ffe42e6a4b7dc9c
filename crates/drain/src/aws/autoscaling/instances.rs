//! Instances of groups, and those that a lifecycle hook holds.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use drain_core::ids::{GroupName, InstanceId};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Members, Page, call, form, instance_id, operation, query, read, skip_invalid, token};
use crate::aws::{Aws, AwsError};

/// The largest number of ids that one call of [`describe_instances`] takes.
pub const MAX_INSTANCES: usize = 50;

/// An instance that waits for a lifecycle hook's action to be completed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiting {
    /// The instance.
    pub instance: InstanceId,
    /// Its `LifecycleState`, which ends in `:Wait`: `Terminating:Wait`. Launch hooks hold instances too
    /// (`Pending:Wait`).
    pub state: String,
}

/// A member of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupInstance {
    /// The instance.
    pub instance: InstanceId,
    /// Its group.
    pub group: GroupName,
    /// Its `LifecycleState`: `InService`, `Terminating:Wait`, `Warmed:Stopped`. Events write states differently.
    pub state: String,
}

/// The waiting instances in the group's warm pool, fifty instances of the pool a page. They are in no other
/// description of the group. IAM: `autoscaling:DescribeWarmPool` on `*`.
pub async fn describe_warm_pool(
    aws: &Aws,
    group: &GroupName,
    next: Option<&str>,
    timeout: Duration,
) -> Result<Page<Waiting>, AwsError> {
    const OPERATION: &str = operation!("DescribeWarmPool");
    let form = form("DescribeWarmPool")
        .with("AutoScalingGroupName", group)
        .with("MaxRecords", 50)
        .with_optional("NextToken", next);
    let answer = call(aws, OPERATION, form, timeout).await?;
    warm_pool(OPERATION, &String::from_utf8_lossy(&answer))
}

fn warm_pool(operation: &str, xml: &str) -> Result<Page<Waiting>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Described<'a> {
        #[serde(borrow, default)]
        instances: HeldMembers<'a>,
        next_token: Option<String>,
    }
    let described: Described<'_> = read(operation, xml)?;
    Ok(Page { items: described.instances.waiting(), next: token(described.next_token) })
}

/// The groups and states of up to [`MAX_INSTANCES`] instances, in no particular order. What is in no group is missing
/// in the answer. IAM: `autoscaling:DescribeAutoScalingInstances` on `*`.
pub async fn describe_instances(
    aws: &Aws,
    instances: &[InstanceId],
    timeout: Duration,
) -> Result<Vec<GroupInstance>, AwsError> {
    const OPERATION: &str = operation!("DescribeAutoScalingInstances");
    // To AWS no ids would mean all instances.
    if instances.is_empty() {
        return Ok(Vec::new());
    }
    let form = form("DescribeAutoScalingInstances")
        .with_list("InstanceIds.member", instances)
        .with("MaxRecords", MAX_INSTANCES);
    let answer = call(aws, OPERATION, form, timeout).await?;
    let Page { items, next } = group_instances(OPERATION, &String::from_utf8_lossy(&answer))?;
    // AWS may end a page early. As many ids as a page can hold have no other page, unless it did: what is missing
    // then must not look as if it were in no group.
    if next.is_some() && items.len() < instances.len() {
        return Err(query::unreadable(OPERATION, "it is not whole: AWS ended the page early"));
    }
    Ok(items)
}

fn group_instances(operation: &str, xml: &str) -> Result<Page<GroupInstance>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Described {
        #[serde(default)]
        auto_scaling_instances: Members<Member>,
        next_token: Option<String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Member {
        instance_id: String,
        auto_scaling_group_name: String,
        lifecycle_state: String,
    }
    let described: Described = read(operation, xml)?;
    let members = described.auto_scaling_instances.members.into_iter();
    let items = members.filter_map(|member| {
        Some(GroupInstance {
            instance: instance_id(&member.instance_id)?,
            group: skip_invalid("a group", GroupName::parse(&member.auto_scaling_group_name))?,
            state: member.lifecycle_state,
        })
    });
    Ok(Page { items: items.collect(), next: token(described.next_token) })
}

/// The state of a member that serves.
const IN_SERVICE: &str = "InService";

/// `<Instances>`, of which only those that wait or serve are kept. A group may have thousands of members.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct HeldMembers<'a> {
    #[serde(borrow, rename = "member", deserialize_with = "held")]
    members: Vec<Member<'a>>,
}

/// Borrows from the document, so that a member that is not kept costs no allocation.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Member<'a> {
    #[serde(borrow)]
    instance_id: Cow<'a, str>,
    #[serde(borrow)]
    lifecycle_state: Cow<'a, str>,
}

impl HeldMembers<'_> {
    /// Those in service. What is no instance is left out without a word: Auto Scaling has none.
    pub(super) fn in_service(&self) -> Vec<InstanceId> {
        let members = self.members.iter().filter(|member| member.lifecycle_state == IN_SERVICE);
        members.filter_map(|member| InstanceId::parse(&member.instance_id).ok()).collect()
    }

    /// Those that wait.
    pub(super) fn waiting(self) -> Vec<Waiting> {
        let members = self.members.into_iter().filter(|member| member.lifecycle_state != IN_SERVICE);
        let waiting = members.filter_map(|member| {
            let instance = instance_id(&member.instance_id)?;
            Some(Waiting { instance, state: member.lifecycle_state.into_owned() })
        });
        waiting.collect()
    }
}

fn held<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Member<'de>>, D::Error> {
    struct Held;

    impl<'de> Visitor<'de> for Held {
        type Value = Vec<Member<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the members of a group")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut held = Vec::new();
            while let Some(member) = members.next_element::<Member<'de>>()? {
                if member.lifecycle_state.ends_with(":Wait") || member.lifecycle_state == IN_SERVICE {
                    held.push(member);
                }
            }
            Ok(held)
        }
    }

    deserializer.deserialize_seq(Held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_pool_shows_what_waits_and_where_it_goes_on() {
        let xml = r#"<DescribeWarmPoolResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
              <DescribeWarmPoolResult>
                <WarmPoolConfiguration>
                  <MinSize>2</MinSize>
                  <PoolState>Stopped</PoolState>
                  <InstanceReusePolicy><ReuseOnScaleIn>true</ReuseOnScaleIn></InstanceReusePolicy>
                </WarmPoolConfiguration>
                <Instances>
                  <member>
                    <LaunchTemplate>
                      <LaunchTemplateId>lt-0b73e8bd38b4e8e73</LaunchTemplateId>
                      <Version>1</Version>
                      <LaunchTemplateName>nomad-clients</LaunchTemplateName>
                    </LaunchTemplate>
                    <InstanceId>i-0e5749f7d9a4b1c01</InstanceId>
                    <InstanceType>t3.micro</InstanceType>
                    <HealthStatus>Healthy</HealthStatus>
                    <LifecycleState>Warmed:Stopped</LifecycleState>
                    <AvailabilityZone>us-west-2a</AvailabilityZone>
                  </member>
                  <member>
                    <InstanceId>i-0e5749f7d9a4b1c02</InstanceId>
                    <HealthStatus>Healthy</HealthStatus>
                    <LifecycleState>Warmed:Pending:Wait</LifecycleState>
                  </member>
                  <member>
                    <InstanceId>i-0e5749f7d9a4b1c03</InstanceId>
                    <LifecycleState>Warmed:Terminating:Wait</LifecycleState>
                  </member>
                </Instances>
                <NextToken>AAMA-opaque/token+with==</NextToken>
              </DescribeWarmPoolResult>
              <ResponseMetadata><RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId></ResponseMetadata>
            </DescribeWarmPoolResponse>"#;
        let page = warm_pool("operation", xml).unwrap();
        let shown: Vec<_> = page.items.iter().map(|w| (w.instance.as_str(), w.state.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("i-0e5749f7d9a4b1c02", "Warmed:Pending:Wait"),
                ("i-0e5749f7d9a4b1c03", "Warmed:Terminating:Wait")
            ]
        );
        assert_eq!(page.next.as_deref(), Some("AAMA-opaque/token+with=="));
    }

    #[test]
    fn a_group_without_a_warm_pool_has_an_empty_one() {
        let xml = "<DescribeWarmPoolResponse><DescribeWarmPoolResult><Instances/></DescribeWarmPoolResult>\
                   </DescribeWarmPoolResponse>";
        assert_eq!(warm_pool("operation", xml).unwrap(), Page { items: Vec::new(), next: None });
    }

    #[test]
    fn instances_come_with_their_group_and_state() {
        let xml = r#"<DescribeAutoScalingInstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
              <DescribeAutoScalingInstancesResult>
                <AutoScalingInstances>
                  <member>
                    <HealthStatus>HEALTHY</HealthStatus>
                    <AutoScalingGroupName>R&amp;D clients</AutoScalingGroupName>
                    <AvailabilityZone>us-east-1e</AvailabilityZone>
                    <InstanceId>i-12345678</InstanceId>
                    <LaunchConfigurationName>my-test-lc</LaunchConfigurationName>
                    <LifecycleState>InService</LifecycleState>
                    <ProtectedFromScaleIn>false</ProtectedFromScaleIn>
                  </member>
                  <member><InstanceId>mi-0123456789abcdef0</InstanceId><LifecycleState>InService</LifecycleState></member>
                </AutoScalingInstances>
              </DescribeAutoScalingInstancesResult>
              <ResponseMetadata><RequestId>df992dc3-b72f-11e2-81e1-750aa6EXAMPLE</RequestId></ResponseMetadata>
            </DescribeAutoScalingInstancesResponse>"#;
        let page = group_instances("operation", xml).unwrap();
        let expected = GroupInstance {
            instance: InstanceId::parse("i-12345678").unwrap(),
            group: GroupName::parse("R&D clients").unwrap(),
            state: "InService".to_owned(),
        };
        assert_eq!(page, Page { items: vec![expected], next: None });
    }

    #[test]
    fn an_unknown_instance_is_missing_in_a_whole_answer() {
        let xml = "<DescribeAutoScalingInstancesResponse><DescribeAutoScalingInstancesResult>\
                   <AutoScalingInstances/></DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>";
        assert_eq!(group_instances("operation", xml).unwrap().items, []);
    }

    #[test]
    fn what_is_no_answer_is_not_an_empty_one() {
        for text in ["", "<html><body>Welcome</body></html>", "<DescribeWarmPoolResponse/>", "{}"] {
            assert!(matches!(warm_pool("operation", text), Err(AwsError::Unreadable { .. })), "{text}");
            assert!(matches!(group_instances("operation", text), Err(AwsError::Unreadable { .. })), "{text}");
        }
    }
}
