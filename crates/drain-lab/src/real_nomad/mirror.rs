//! A real cluster, seen as the lab's own is: nodes, allocations, and what happened to them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Cluster;
use crate::journal::{Journal, System};
use crate::nomad::{
    AllocView, ClientStatus, DesiredStatus, DrainStatus, DrainStrategy, INSTANCE_ID_ATTRIBUTE, JobKind,
    LastDrain, NodeEvent, NodeStatus, NodeView,
};

/// What was seen of a cluster when it was last looked at.
#[derive(Debug)]
pub struct Mirror {
    journal: Journal,
    nodes: BTreeMap<String, NodeView>,
    allocations: BTreeMap<String, AllocView>,
    /// What the journal knows already: events of nodes by node, moment and text.
    told: BTreeSet<(String, Timestamp, String)>,
}

impl Mirror {
    /// One that has not looked yet. What it sees happen goes into the journal.
    pub fn new(journal: Journal) -> Self {
        Self { journal, nodes: BTreeMap::new(), allocations: BTreeMap::new(), told: BTreeSet::new() }
    }

    /// Looks at everything once.
    pub async fn look(&mut self, cluster: &Cluster) -> io::Result<()> {
        let list = cluster.get("/v1/nodes").await?;
        for id in list.as_array().into_iter().flatten().filter_map(|node| node["ID"].as_str()) {
            let node = cluster.node(id).await?;
            self.tell_events(id, &node);
            self.nodes.insert(id.to_owned(), node_view(id, &node));
        }
        let list = cluster.get("/v1/allocations?namespace=*").await?;
        for allocation in list.as_array().into_iter().flatten() {
            self.see(alloc_view(allocation));
        }
        Ok(())
    }

    /// A node.
    pub fn node(&self, id: &str) -> Option<NodeView> {
        self.nodes.get(id).cloned()
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeView> {
        self.nodes.values()
    }

    /// The allocations on a node, oldest first.
    pub fn allocations_on(&self, node: &str) -> Vec<AllocView> {
        self.allocations_with(|one| one.node_id == node)
    }

    /// The allocations of a job, oldest first.
    pub fn allocations_of(&self, job: &str) -> Vec<AllocView> {
        self.allocations_with(|one| one.job_id == job)
    }

    fn allocations_with(&self, fits: impl Fn(&AllocView) -> bool) -> Vec<AllocView> {
        let mut all: Vec<AllocView> = self.allocations.values().filter(|one| fits(one)).cloned().collect();
        all.sort_by_key(|one| one.created_at);
        all
    }

    fn see(&mut self, mut now: AllocView) {
        let known = self.allocations.get(&now.id).and_then(|before| before.ended_at);
        if let (None, Some(ended)) = (known, now.ended_at) {
            let detail = format!("{} {} {}", now.name, now.id, now.client.as_str());
            self.journal.effect(ended, System::Nomad, "allocation stopped", now.node_id.as_str(), detail);
        }
        now.ended_at = known.or(now.ended_at);
        self.allocations.insert(now.id.clone(), now);
    }

    fn tell_events(&mut self, id: &str, node: &Value) {
        for event in node["Events"].as_array().into_iter().flatten() {
            let (message, Some(at)) = (text(&event["Message"]), moment(&event["Timestamp"])) else {
                continue;
            };
            let deadline = node["DrainStrategy"]["Deadline"].as_i64();
            let deadline = deadline
                .map(|ns| format!("deadline {:#}", SignedDuration::from_nanos(ns)))
                .unwrap_or_default();
            let (what, detail) = match message.as_str() {
                "Node drain strategy set" => ("drain started", deadline),
                "Node drain strategy updated" => ("drain updated", deadline),
                "Node drain disabled" => ("drain cancelled", String::new()),
                "Node drain complete" if event["Details"]["deadline_reached"] == "true" => {
                    ("drain complete", "deadline reached".to_owned())
                }
                "Node drain complete" => ("drain complete", String::new()),
                _ => continue,
            };
            if self.told.insert((id.to_owned(), at, message)) {
                self.journal.effect(at, System::Nomad, what, id, detail);
            }
        }
    }
}

fn node_view(id: &str, node: &Value) -> NodeView {
    let strategy = &node["DrainStrategy"];
    let last = &node["LastDrain"];
    let events = node["Events"].as_array().into_iter().flatten().filter_map(|event| {
        let details = event["Details"].as_object().into_iter().flatten();
        Some(NodeEvent {
            at: moment(&event["Timestamp"])?,
            message: text(&event["Message"]),
            create_index: event["CreateIndex"].as_u64().unwrap_or_default(),
            subsystem: if event["Subsystem"] == "Drain" { "Drain" } else { "Cluster" },
            details: details.map(|(key, value)| (key.clone(), text(value))).collect(),
        })
    });
    NodeView {
        id: id.to_owned(),
        name: text(&node["Name"]),
        instance_id: node["Attributes"][INSTANCE_ID_ATTRIBUTE].as_str().map(str::to_owned),
        address: text(&node["HTTPAddr"])
            .rsplit_once(':')
            .map_or_else(String::new, |(host, _)| host.to_owned()),
        status: match node["Status"].as_str() {
            Some("ready") => NodeStatus::Ready,
            Some("down") => NodeStatus::Down,
            Some("disconnected") => NodeStatus::Disconnected,
            _ => NodeStatus::Initializing,
        },
        status_updated_at: node["StatusUpdatedAt"]
            .as_i64()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .unwrap_or_default(),
        eligible: node["SchedulingEligibility"] == "eligible",
        drain: strategy["Deadline"].as_i64().map(|deadline| DrainStrategy {
            deadline: SignedDuration::from_nanos(deadline),
            ignore_system_jobs: strategy["IgnoreSystemJobs"] == true,
            force_deadline: moment(&strategy["ForceDeadline"]),
            started_at: moment(&strategy["StartedAt"]).unwrap_or_default(),
        }),
        last_drain: last.is_object().then(|| LastDrain {
            started_at: moment(&last["StartedAt"]).unwrap_or_default(),
            updated_at: moment(&last["UpdatedAt"]).unwrap_or_default(),
            status: match last["Status"].as_str() {
                Some("complete") => DrainStatus::Complete,
                Some("canceled") => DrainStatus::Canceled,
                _ => DrainStatus::Draining,
            },
            accessor_id: text(&last["AccessorID"]),
            meta: last["Meta"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect(),
        }),
        events: events.collect(),
        create_index: node["CreateIndex"].as_u64().unwrap_or_default(),
        modify_index: node["ModifyIndex"].as_u64().unwrap_or_default(),
    }
}

fn alloc_view(one: &Value) -> AllocView {
    let client = match one["ClientStatus"].as_str() {
        Some("running") => ClientStatus::Running,
        Some("complete" | "failed") => ClientStatus::Complete,
        Some("lost") => ClientStatus::Lost,
        Some("unknown") => ClientStatus::Unknown,
        _ => ClientStatus::Pending,
    };
    let tasks = || one["TaskStates"].as_object().into_iter().flatten().map(|(_, task)| task);
    let modified_at = nanoseconds(&one["ModifyTime"]);
    // When its tasks ended, which no later change of the allocation hides; one that is lost can no longer say so.
    let finished = tasks().filter_map(|task| moment(&task["FinishedAt"])).max();
    AllocView {
        id: text(&one["ID"]),
        name: text(&one["Name"]),
        namespace: text(&one["Namespace"]),
        job_id: text(&one["JobID"]),
        kind: match one["JobType"].as_str() {
            Some("batch") => JobKind::Batch,
            Some("system") => JobKind::System,
            Some("sysbatch") => JobKind::Sysbatch,
            _ => JobKind::Service,
        },
        node_id: text(&one["NodeID"]),
        desired: if one["DesiredStatus"] == "run" { DesiredStatus::Run } else { DesiredStatus::Stop },
        client,
        migrate: one["DesiredTransition"]["Migrate"] == true,
        healthy: one["DeploymentStatus"]["Healthy"].as_bool(),
        created_at: nanoseconds(&one["CreateTime"]),
        started_at: tasks().filter_map(|task| moment(&task["StartedAt"])).min(),
        ended_at: client.is_terminal().then(|| finished.unwrap_or(modified_at)),
        modified_at,
        modify_index: one["ModifyIndex"].as_u64().unwrap_or_default(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A moment; Go's zero is none.
fn moment(value: &Value) -> Option<Timestamp> {
    let moment: Timestamp = value.as_str()?.parse().ok()?;
    (moment > Timestamp::UNIX_EPOCH).then_some(moment)
}

fn nanoseconds(value: &Value) -> Timestamp {
    let nanoseconds = value.as_i64().unwrap_or_default();
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}
