//! Auto Scaling's query protocol.

use super::call::Call;
use super::xml::{self, Xml};
use crate::aws::state::{Group, State};
use crate::aws::{ActionRef, ActionResult, Activity, ApiError, Aws, Instance, LifecycleHook};

/// How many instances `DescribeAutoScalingInstances` takes and answers.
const INSTANCES_PER_CALL: usize = 50;

pub(super) fn answer(aws: &Aws, call: &Call, request_id: &str) -> Result<String, ApiError> {
    let arn = call.get("AutoScalingGroupName").map(|name| aws.group_arn(name));
    let resource = if call.operation.starts_with("Describe") { None } else { arn.as_deref() };
    aws.permit(&call.action(), resource).map_err(|message| call.service.denied(message))?;
    let fill: Fill = match call.operation.as_str() {
        "DescribeAutoScalingInstances" => describe_instances(aws, call)?,
        "DescribeAutoScalingGroups" => describe_groups(aws, call)?,
        "DescribeLifecycleHooks" => describe_hooks(aws, call)?,
        "DescribeWarmPool" => describe_warm_pool(aws, call)?,
        "DescribeScalingActivities" => describe_activities(aws, call)?,
        "CompleteLifecycleAction" => {
            let result = ActionResult::parse(call.require("LifecycleActionResult")?)?;
            aws.complete_lifecycle_action(&meant(call)?, result)?;
            Box::new(|_| {})
        }
        "RecordLifecycleActionHeartbeat" => {
            aws.record_lifecycle_action_heartbeat(&meant(call)?)?;
            Box::new(|_| {})
        }
        _ => return Err(call.unknown()),
    };
    Ok(xml::response(call, request_id, fill))
}

type Fill = Box<dyn FnOnce(&mut Xml)>;

fn describe_instances(aws: &Aws, call: &Call) -> Result<Fill, ApiError> {
    let asked = call.list("InstanceIds.member");
    if asked.len() > INSTANCES_PER_CALL {
        let most = INSTANCES_PER_CALL;
        return Err(ApiError::validation(format!(
            "The number of instance ids that may be passed in is limited to {most}"
        )));
    }
    let shown: Vec<Instance> = aws.look(|state| {
        let groups = state.groups.iter().flat_map(|group| state.members(&group.settings.name));
        groups.filter(|found| asked.is_empty() || asked.contains(&found.id.as_str())).cloned().collect()
    });
    let (shown, next) = page(call, shown, INSTANCES_PER_CALL)?;
    let zone = aws.account().zone();
    Ok(Box::new(move |xml| {
        xml.list("AutoScalingInstances", "member", &shown, |xml, instance| {
            xml.text("AutoScalingGroupName", &instance.group);
            xml.text("HealthStatus", "HEALTHY");
            write_instance(xml, instance, &zone);
        });
        xml.optional("NextToken", next);
    }))
}

fn describe_groups(aws: &Aws, call: &Call) -> Result<Fill, ApiError> {
    let asked = call.list("AutoScalingGroupNames.member");
    let filters = TagFilter::read(call)?;
    let zone = aws.account().zone();
    let groups: Vec<Fill> = aws.look(|state| {
        let groups = state.groups.iter();
        let named = groups.filter(|group| asked.is_empty() || asked.contains(&group.settings.name.as_str()));
        let tagged = named.filter(|group| filters.iter().all(|filter| filter.admits(group)));
        tagged.map(|group| show_group(state, group, zone.clone())).collect()
    });
    let (groups, next) = page(call, groups, 100)?;
    Ok(Box::new(move |xml| {
        xml.list("AutoScalingGroups", "member", groups, |xml, group| group(xml));
        xml.optional("NextToken", next);
    }))
}

fn show_group(state: &State, group: &Group, zone: String) -> Fill {
    let settings = group.settings.clone();
    let arn = group.arn.clone();
    let created_at = group.created_at;
    let service_role = state.account.service_role_arn();
    let (warmed, members): (Vec<Instance>, Vec<Instance>) =
        state.members(&settings.name).cloned().partition(|instance| instance.lifecycle_state.is_warmed());
    Box::new(move |xml| {
        let size = members.len();
        xml.text("AutoScalingGroupName", &settings.name);
        xml.text("AutoScalingGroupARN", arn);
        xml.text("MinSize", 0);
        xml.text("MaxSize", size.max(100));
        xml.text("DesiredCapacity", size);
        xml.text("DefaultCooldown", 300);
        xml.element("AvailabilityZones", |xml| xml.text("member", &zone));
        xml.element("LoadBalancerNames", |_| {});
        xml.text("HealthCheckType", "EC2");
        xml.text("HealthCheckGracePeriod", 300);
        xml.list("Instances", "member", &members, |xml, instance| {
            xml.text("HealthStatus", "Healthy");
            write_instance(xml, instance, &zone);
        });
        xml.text("CreatedTime", format!("{created_at:.3}"));
        xml.element("SuspendedProcesses", |_| {});
        xml.list("Tags", "member", &settings.tags, |xml, (key, value)| {
            xml.text("ResourceId", &settings.name);
            xml.text("ResourceType", "auto-scaling-group");
            xml.text("Key", key);
            xml.text("Value", value);
            xml.text("PropagateAtLaunch", true);
        });
        xml.text("NewInstancesProtectedFromScaleIn", false);
        xml.text("ServiceLinkedRoleARN", service_role);
        if settings.warm_pool || !warmed.is_empty() {
            xml.element("WarmPoolConfiguration", |xml| {
                xml.text("MinSize", 0);
                xml.text("PoolState", "Stopped");
                xml.element("InstanceReusePolicy", |xml| xml.text("ReuseOnScaleIn", true));
            });
            xml.text("WarmPoolSize", warmed.len());
        }
        if settings.retain_on_abandon {
            xml.element("InstanceLifecyclePolicy", |xml| {
                xml.element("RetentionTriggers", |xml| xml.text("TerminateHookAbandon", "retain"));
            });
        }
    })
}

fn describe_hooks(aws: &Aws, call: &Call) -> Result<Fill, ApiError> {
    let group = call.require("AutoScalingGroupName")?.to_owned();
    let asked = call.list("LifecycleHookNames.member");
    let mut hooks: Vec<LifecycleHook> = aws.look(|state| Ok(state.group(&group)?.hooks.clone()))?;
    hooks.retain(|hook| asked.is_empty() || asked.contains(&hook.name.as_str()));
    let role = aws.account().hook_role_arn();
    Ok(Box::new(move |xml| {
        xml.list("LifecycleHooks", "member", &hooks, |xml, hook| {
            xml.text("LifecycleHookName", &hook.name);
            xml.text("AutoScalingGroupName", &group);
            xml.text("LifecycleTransition", hook.transition.as_str());
            xml.optional("NotificationTargetARN", hook.target.arn());
            xml.optional("RoleARN", hook.target.needs_role().then_some(&role));
            xml.optional("NotificationMetadata", hook.notification_metadata.as_deref());
            xml.text("HeartbeatTimeout", hook.heartbeat_timeout);
            xml.text("GlobalTimeout", hook.global_timeout().as_secs());
            xml.text("DefaultResult", hook.default_result.as_str());
        });
    }))
}

fn describe_warm_pool(aws: &Aws, call: &Call) -> Result<Fill, ApiError> {
    let group = call.require("AutoScalingGroupName")?;
    aws.look(|state| state.group(group).map(drop))?;
    let warmed = aws.warm_pool(group);
    let (warmed, next) = page(call, warmed, 50)?;
    let zone = aws.account().zone();
    Ok(Box::new(move |xml| {
        xml.list("Instances", "member", &warmed, |xml, instance| {
            xml.text("HealthStatus", "Healthy");
            write_instance(xml, instance, &zone);
        });
        xml.optional("NextToken", next);
    }))
}

fn describe_activities(aws: &Aws, call: &Call) -> Result<Fill, ApiError> {
    let (found, arn): (Vec<(String, Activity)>, _) = aws.look(|state| {
        let asked = call.get("AutoScalingGroupName");
        let arn = asked.map(|name| state.group(name).map(|group| group.arn.clone())).transpose()?;
        let groups = state.groups.iter().filter(|group| asked.is_none_or(|name| name == group.settings.name));
        let lines = groups.flat_map(|group| {
            group.activities.iter().rev().map(|line| (group.settings.name.clone(), line.clone()))
        });
        Ok((lines.collect(), arn))
    })?;
    let (found, next) = page(call, found, 100)?;
    Ok(Box::new(move |xml| {
        xml.list("Activities", "member", &found, |xml, (group, line)| {
            xml.text("ActivityId", &line.id);
            xml.text("AutoScalingGroupName", group);
            xml.optional("AutoScalingGroupARN", arn.as_deref());
            xml.text("Description", &line.description);
            xml.text("Cause", &line.cause);
            xml.text("StartTime", format!("{:.3}", line.started_at));
            xml.optional("EndTime", line.ended_at.map(|at| format!("{at:.3}")));
            let (status, progress) =
                if line.ended_at.is_some() { ("Successful", 100) } else { ("InProgress", 50) };
            xml.text("StatusCode", status);
            xml.text("Progress", progress);
        });
        xml.optional("NextToken", next);
    }))
}

fn write_instance(xml: &mut Xml, instance: &Instance, zone: &str) {
    xml.text("InstanceId", &instance.id);
    xml.text("InstanceType", "m5.large");
    xml.text("AvailabilityZone", zone);
    xml.text("LifecycleState", instance.lifecycle_state);
    xml.text("ProtectedFromScaleIn", false);
}

/// The lifecycle action that a call is about.
fn meant(call: &Call) -> Result<ActionRef<'_>, ApiError> {
    Ok(ActionRef {
        group: call.require("AutoScalingGroupName")?,
        hook: call.require("LifecycleHookName")?,
        token: call.get("LifecycleActionToken"),
        instance_id: call.get("InstanceId"),
    })
}

/// One page of `items`, and the token for the next one if there is more. `most` is the service's own limit.
fn page<T>(call: &Call, mut items: Vec<T>, most: usize) -> Result<(Vec<T>, Option<String>), ApiError> {
    let start = match call.get("NextToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("from-")
            .and_then(|start| start.parse().ok())
            .ok_or_else(|| ApiError::new(400, "InvalidNextToken", "The NextToken value is not valid."))?,
    };
    let size = match call.get("MaxRecords") {
        None => most.min(50),
        Some(size) => size.parse().ok().filter(|size| (1..=most).contains(size)).ok_or_else(|| {
            ApiError::validation(format!(
                "1 validation error detected: Value '{size}' at 'maxRecords' is out of range"
            ))
        })?,
    };
    let next = (start + size < items.len()).then(|| format!("from-{}", start + size));
    Ok((items.drain(..).skip(start).take(size).collect(), next))
}

/// `tag-key`, `tag-value` or `tag:<key>`, with the values of which one has to fit.
struct TagFilter<'a> {
    kind: TagFilterKind<'a>,
    values: Vec<&'a str>,
}

enum TagFilterKind<'a> {
    Key,
    Value,
    ValueOf(&'a str),
}

impl<'a> TagFilter<'a> {
    fn read(call: &'a Call) -> Result<Vec<Self>, ApiError> {
        let mut filters = Vec::new();
        for number in 1.. {
            let Some(name) = call.get(&format!("Filters.member.{number}.Name")) else { break };
            let kind = match (name, name.strip_prefix("tag:")) {
                ("tag-key", _) => TagFilterKind::Key,
                ("tag-value", _) => TagFilterKind::Value,
                (_, Some(key)) => TagFilterKind::ValueOf(key),
                (_, None) => {
                    return Err(ApiError::validation(format!("Filter type {name} is not correct.")));
                }
            };
            let values = call.list(&format!("Filters.member.{number}.Values.member"));
            filters.push(Self { kind, values });
        }
        Ok(filters)
    }

    fn admits(&self, group: &Group) -> bool {
        let fits = |text: &str| self.values.contains(&text);
        group.settings.tags.iter().any(|(key, value)| match self.kind {
            TagFilterKind::Key => fits(key),
            TagFilterKind::Value => fits(value),
            TagFilterKind::ValueOf(wanted) => key == wanted && fits(value),
        })
    }
}
