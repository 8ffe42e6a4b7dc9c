//! The cluster as JSON, in the shapes and with the field names of Nomad's HTTP API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cluster::{Alloc, Cluster, Node};
use super::spec::JobSpec;
use super::view::{ClientStatus, DrainStrategy, LastDrain, NodeEvent};

/// How Go writes a time that was never set.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// `GET /v1/node/:id`, and what `?filter=` on nodes is evaluated on.
pub(super) fn node(node: &Node) -> Value {
    let spec = &node.spec;
    let links: BTreeMap<&str, String> = spec
        .instance()
        .map(|id| {
            let zone = spec.attributes.get("platform.aws.placement.availability-zone");
            ("aws.ec2", format!("{}.{id}", zone.map_or("", String::as_str)))
        })
        .into_iter()
        .collect();
    json!({
        "ID": node.id,
        "SecretID": "",
        "Datacenter": spec.datacenter,
        "Name": spec.name,
        "HTTPAddr": format!("{}:4646", spec.address),
        "TLSEnabled": false,
        "Attributes": spec.attributes,
        "NodeResources": null,
        "ReservedResources": null,
        "Links": links,
        "Meta": spec.meta,
        "NodeClass": spec.class,
        "NodePool": spec.pool,
        "ComputedClass": "",
        "DrainStrategy": node.drain.as_ref().map(drain_strategy),
        "SchedulingEligibility": eligibility(node),
        "Status": node.status.as_str(),
        "StatusDescription": "",
        "StatusUpdatedAt": node.status_updated_at.as_second(),
        "Events": node.events.iter().map(event).collect::<Vec<_>>(),
        "Drivers": {},
        "CSIControllerPlugins": {},
        "CSINodePlugins": {},
        "HostVolumes": {},
        "HostNetworks": {},
        "LastDrain": node.last_drain.as_ref().map(last_drain),
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    })
}

/// A node of `GET /v1/nodes`.
pub(super) fn node_stub(node: &Node, with_os: bool, with_resources: bool) -> Value {
    let spec = &node.spec;
    let mut stub = json!({
        "Address": spec.address,
        "ID": node.id,
        "Datacenter": spec.datacenter,
        "Name": spec.name,
        "NodePool": spec.pool,
        "NodeClass": spec.class,
        "Version": spec.version(),
        "Drain": node.drain.is_some(),
        "SchedulingEligibility": eligibility(node),
        "Status": node.status.as_str(),
        "StatusDescription": "",
        "Drivers": {},
        "HostVolumes": {},
        "LastDrain": node.last_drain.as_ref().map(last_drain),
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    });
    if with_os {
        stub["Attributes"] = json!({"os.name": spec.attributes.get("os.name")});
    }
    if with_resources {
        stub["NodeResources"] = json!({"Cpu": {"CpuShares": 4000}, "Memory": {"MemoryMB": 8192}});
        stub["ReservedResources"] = json!({"Cpu": {"CpuShares": 0}, "Memory": {"MemoryMB": 0}});
    }
    stub
}

/// The legacy field that `GET /v1/node/:id` adds to a node, and that no filter sees.
pub(super) fn with_legacy_drain(mut node: Value) -> Value {
    node["Drain"] = (!node["DrainStrategy"].is_null()).into();
    node
}

/// An allocation of `GET /v1/node/:id/allocations`, with its whole job. As in Nomad, what is empty is left out.
pub(super) fn alloc(cluster: &Cluster, alloc: &Alloc) -> Option<Value> {
    let job = cluster.jobs.get(&alloc.job)?;
    let mut full = common(cluster, job, alloc);
    full.insert("Job".to_owned(), self::job(job));
    full.insert("AllocModifyIndex".to_owned(), alloc.modify_index.into());
    if alloc.migrate {
        full.insert("DesiredTransition".to_owned(), desired_transition(alloc));
    }
    if !alloc.desired_description.is_empty() {
        full.insert("DesiredDescription".to_owned(), alloc.desired_description.into());
    }
    if let Some(previous) = &alloc.previous {
        full.insert("PreviousAllocation".to_owned(), previous.as_str().into());
    }
    if let Some(health) = deployment_status(alloc) {
        full.insert("DeploymentStatus".to_owned(), health);
    }
    Some(Value::Object(full))
}

/// An allocation of `GET /v1/allocations`.
pub(super) fn alloc_stub(cluster: &Cluster, alloc: &Alloc) -> Option<Value> {
    let job = cluster.jobs.get(&alloc.job)?;
    let mut stub = common(cluster, job, alloc);
    stub.insert("JobType".to_owned(), job.kind.as_str().into());
    stub.insert("JobVersion".to_owned(), 0.into());
    stub.insert("DesiredTransition".to_owned(), desired_transition(alloc));
    stub.insert("DesiredDescription".to_owned(), alloc.desired_description.into());
    stub.insert("DeploymentStatus".to_owned(), deployment_status(alloc).unwrap_or_default());
    stub.insert("FollowupEvalID".to_owned(), "".into());
    Some(Value::Object(stub))
}

fn common(cluster: &Cluster, job: &JobSpec, alloc: &Alloc) -> Map<String, Value> {
    let node_name = cluster.nodes.get(&alloc.node).map_or("", |node| node.spec.name.as_str());
    let fields = json!({
        "ID": alloc.id,
        "EvalID": alloc.eval_id,
        "Name": alloc.name,
        "Namespace": job.namespace,
        "NodeID": alloc.node,
        "NodeName": node_name,
        "JobID": job.id,
        "TaskGroup": super::TASK_GROUP,
        "DesiredStatus": alloc.desired.as_str(),
        "ClientStatus": alloc.client.as_str(),
        "ClientDescription": client_description(alloc.client),
        "TaskStates": {"task": task_state(alloc)},
        "CreateIndex": alloc.create_index,
        "ModifyIndex": alloc.modify_index,
        "CreateTime": unix_nanos(alloc.created_at),
        "ModifyTime": unix_nanos(alloc.modified_at),
    });
    if let Value::Object(fields) = fields { fields } else { Map::new() }
}

fn job(job: &JobSpec) -> Value {
    json!({
        "ID": job.id,
        "Name": job.id,
        "Namespace": job.namespace,
        "Type": job.kind.as_str(),
        "Region": "global",
        "Priority": 50,
        "Stop": false,
        "Version": 0,
        "TaskGroups": [{
            "Name": super::TASK_GROUP,
            "Count": job.count,
            "Migrate": {
                "MaxParallel": job.max_parallel,
                "HealthCheck": "task_states",
                "MinHealthyTime": nanos(job.min_healthy_time),
                "HealthyDeadline": 300_000_000_000_u64,
            },
            "Tasks": [{
                "Name": "task",
                "Driver": "raw_exec",
                "KillTimeout": nanos(job.kill_timeout),
                "ShutdownDelay": nanos(job.shutdown_delay),
            }],
        }],
    })
}

fn drain_strategy(drain: &DrainStrategy) -> Value {
    json!({
        "Deadline": i64::try_from(drain.deadline.as_nanos()).unwrap_or(i64::MAX),
        "IgnoreSystemJobs": drain.ignore_system_jobs,
        "ForceDeadline": drain.force_deadline.map_or_else(|| NEVER.to_owned(), |at| at.to_string()),
        "StartedAt": drain.started_at.to_string(),
    })
}

fn last_drain(last: &LastDrain) -> Value {
    json!({
        "StartedAt": last.started_at.to_string(),
        "UpdatedAt": last.updated_at.to_string(),
        "Status": last.status.as_str(),
        "AccessorID": last.accessor_id,
        "Meta": null_if_empty(&last.meta),
    })
}

fn event(event: &NodeEvent) -> Value {
    json!({
        "Message": event.message,
        "Subsystem": event.subsystem,
        "Details": null_if_empty(&event.details),
        "Timestamp": event.at.to_string(),
        "CreateIndex": event.create_index,
    })
}

fn null_if_empty(map: &BTreeMap<String, String>) -> Value {
    if map.is_empty() { Value::Null } else { json!(map) }
}

fn desired_transition(alloc: &Alloc) -> Value {
    let migrate = if alloc.migrate { Value::Bool(true) } else { Value::Null };
    json!({
        "Migrate": migrate, "MigrateDisablePlacement": null, "Reschedule": null, "ForceReschedule": null,
        "NoShutdownDelay": null,
    })
}

fn deployment_status(alloc: &Alloc) -> Option<Value> {
    let healthy = alloc.healthy?;
    Some(json!({"Healthy": healthy, "Canary": false, "ModifyIndex": alloc.healthy_index}))
}

fn task_state(alloc: &Alloc) -> Value {
    let state = match alloc.client {
        ClientStatus::Pending => "pending",
        ClientStatus::Running | ClientStatus::Unknown => "running",
        ClientStatus::Complete | ClientStatus::Lost => "dead",
    };
    json!({
        "State": state,
        "Failed": false,
        "Restarts": 0,
        "StartedAt": alloc.started_at.map(|at| at.to_string()),
        "FinishedAt": alloc.ended_at.map(|at| at.to_string()),
        "Events": [],
    })
}

fn client_description(status: ClientStatus) -> &'static str {
    match status {
        ClientStatus::Pending => "No tasks have started",
        ClientStatus::Running => "Tasks are running",
        ClientStatus::Complete => "All tasks have completed",
        ClientStatus::Lost | ClientStatus::Unknown => "",
    }
}

/// The word for whether allocations may be placed.
pub(super) fn eligibility(node: &Node) -> &'static str {
    if node.eligible { "eligible" } else { "ineligible" }
}

fn unix_nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
