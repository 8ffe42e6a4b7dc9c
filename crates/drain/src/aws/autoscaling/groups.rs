//! Groups, with those of their members that wait.

use std::collections::BTreeMap;
use std::time::Duration;

use drain_core::ids::{GroupName, InstanceId};
use drain_http::Limits;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::instances::HeldMembers;
use super::{Form, Members, Page, Waiting, form, operation, query, read, skip_invalid, token};
use crate::aws::{Aws, AwsError, Service};

/// The largest number of groups that one call describes, and of names that it takes.
pub const MAX_GROUPS: usize = 100;

/// The largest page of groups that is read, in bytes. Every member is described in about 700 bytes, and there is no
/// way to ask for fewer fields or only for some states: this is room for 48,000 members on one page. It is held once, and
/// of its members only ids are kept; that fits into the smallest Lambda function.
const LARGEST_PAGE: usize = 32 * 1024 * 1024;

/// Which groups to describe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GroupQuery {
    /// Those of these names, at most [`MAX_GROUPS`]. There is no error for a name that no group has.
    Named(Vec<GroupName>),
    /// Those that have a tag with this key, whatever its value.
    Tagged(String),
    /// Every group of the account in this region.
    All,
}

/// A group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Its ARN, which holds a UUID besides its name.
    pub arn: String,
    /// Its own tags: those that it passes on to instances, and those that it does not.
    pub tags: BTreeMap<String, String>,
    /// Whether it has a warm pool, or instances left in one that is being deleted. Only
    /// [`describe_warm_pool`](super::describe_warm_pool) shows them.
    pub has_warm_pool: bool,
    /// Its members, without the warm pool's, that a lifecycle hook holds.
    pub waiting: Vec<Waiting>,
    /// Its members that are `InService`.
    pub in_service: Vec<InstanceId>,
    /// Whether an instance whose lifecycle action is abandoned is kept (`Terminating:Retained`): its instance lifecycle
    /// policy says `TerminateHookAbandon: retain`.
    pub retains_abandoned: bool,
    /// The ARN of the role with which Auto Scaling acts for it.
    pub service_linked_role: Option<String>,
}

/// Describes groups, [`MAX_GROUPS`] a page. IAM: `autoscaling:DescribeAutoScalingGroups` on `*`.
pub async fn describe_groups(
    aws: &Aws,
    query: &GroupQuery,
    next: Option<&str>,
    timeout: Duration,
) -> Result<Page<Group>, AwsError> {
    const OPERATION: &str = operation!("DescribeAutoScalingGroups");
    // To AWS no names would mean all groups.
    if matches!(query, GroupQuery::Named(names) if names.is_empty()) {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let limits = Limits { timeout, body: LARGEST_PAGE };
    let answer = query::send(aws, Service::AutoScaling, OPERATION, request(query, next), limits).await?;
    parse(OPERATION, &String::from_utf8_lossy(&answer))
}

fn request(query: &GroupQuery, next: Option<&str>) -> Form {
    let form =
        form("DescribeAutoScalingGroups").with("MaxRecords", MAX_GROUPS).with_optional("NextToken", next);
    match query {
        GroupQuery::Named(names) => form.with_list("AutoScalingGroupNames.member", names),
        GroupQuery::Tagged(key) => {
            form.with("Filters.member.1.Name", "tag-key").with("Filters.member.1.Values.member.1", key)
        }
        GroupQuery::All => form,
    }
}

fn parse(operation: &str, xml: &str) -> Result<Page<Group>, AwsError> {
    let answer: Answer<'_> = read(operation, xml)?;
    let groups = answer.auto_scaling_groups.members.into_iter();
    Ok(Page { items: groups.filter_map(Described::group).collect(), next: token(answer.next_token) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow)]
    auto_scaling_groups: Members<Described<'a>>,
    next_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Described<'a> {
    auto_scaling_group_name: String,
    #[serde(rename = "AutoScalingGroupARN")]
    auto_scaling_group_arn: String,
    instance_lifecycle_policy: LifecyclePolicy,
    #[serde(rename = "ServiceLinkedRoleARN")]
    service_linked_role_arn: Option<String>,
    tags: Members<Tag>,
    warm_pool_configuration: Option<IgnoredAny>,
    warm_pool_size: Option<u32>,
    #[serde(borrow)]
    instances: HeldMembers<'a>,
}

/// `InstanceLifecyclePolicy`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct LifecyclePolicy {
    retention_triggers: RetentionTriggers,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RetentionTriggers {
    terminate_hook_abandon: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

impl Described<'_> {
    fn group(self) -> Option<Group> {
        Some(Group {
            name: skip_invalid("a group", GroupName::parse(&self.auto_scaling_group_name))?,
            arn: self.auto_scaling_group_arn,
            retains_abandoned: self.instance_lifecycle_policy.retention_triggers.terminate_hook_abandon
                == "retain",
            service_linked_role: self.service_linked_role_arn.filter(|arn| !arn.is_empty()),
            tags: self.tags.members.into_iter().map(|tag| (tag.key, tag.value)).collect(),
            has_warm_pool: self.warm_pool_configuration.is_some() || self.warm_pool_size.unwrap_or(0) > 0,
            in_service: self.instances.in_service(),
            waiting: self.instances.waiting(),
        })
    }
}

#[cfg(test)]
mod tests;
