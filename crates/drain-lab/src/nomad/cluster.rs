//! The state that Nomad's servers replicate, and the bookkeeping that every change of it needs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::agenda::Agenda;
use super::drainer::{Batch, whole_second};
use super::leadership::Leadership;
use super::spec::{JobSpec, NodeSpec, Quirks};
use super::view::{
    AllocView, ClientStatus, DesiredStatus, DrainStrategy, LastDrain, NodeEvent, NodeStatus, NodeView,
};
use crate::journal::{Journal, System};

/// How many events a node remembers.
const EVENTS: usize = 10;

/// A job's namespace and id.
pub(super) type JobKey = (String, String);

/// Everything that the servers agree upon. A clone is what a follower that lags behind knows.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) index: u64,
    /// The index of the last change of any node.
    pub(super) nodes_index: u64,
    /// The index of the last change of any allocation.
    pub(super) allocs_index: u64,
    /// Changed only by [`Cluster::node_mut`], [`Cluster::insert_node`] and [`Cluster::remove_node`].
    pub(super) nodes: BTreeMap<String, Node>,
    /// The ids of the nodes that say on which EC2 instance they run, by its id.
    nodes_on: BTreeMap<String, BTreeSet<String>>,
    /// The ids of the nodes that do not.
    pub(super) nodes_anywhere: BTreeSet<String>,
    pub(super) jobs: BTreeMap<JobKey, JobSpec>,
    pub(super) allocs: BTreeMap<String, Alloc>,
    pub(super) allocs_of_job: BTreeMap<JobKey, Vec<String>>,
    pub(super) allocs_on_node: BTreeMap<String, Vec<String>>,
    /// Which allocation is placed in whose stead.
    pub(super) replaced_by: BTreeMap<String, String>,
    /// The nodes on which allocations may be placed, but for those of `unsettled`.
    pub(super) takers: BTreeSet<String>,
    /// The nodes of which, or of whose allocations, something changed since work was last placed.
    pub(super) unsettled: BTreeSet<String>,
    pub(super) agenda: Agenda,
    /// Allocations that wait for a node.
    pub(super) queue: Vec<Placement>,
    /// Nodes that will register.
    pub(super) joining: Vec<Joining>,
    /// Clients of machines that are off, whom nobody remembers.
    pub(super) asleep: Vec<Asleep>,
    /// Jobs whose allocations the drainer watches.
    pub(super) watched: BTreeSet<JobKey>,
    /// Jobs of which something changed since the drainer last looked.
    pub(super) touched: BTreeSet<JobKey>,
    pub(super) batch: Option<Batch>,
    pub(super) batch_interval: SignedDuration,
    pub(super) quirks: Quirks,
    pub(super) leadership: Leadership,
    random: fastrand::Rng,
    journal: Journal,
}

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) spec: NodeSpec,
    pub(super) status: NodeStatus,
    pub(super) status_updated_at: Timestamp,
    pub(super) eligible: bool,
    pub(super) drain: Option<DrainStrategy>,
    /// The deadline of the running drain has been dealt with.
    pub(super) forced: bool,
    pub(super) last_drain: Option<LastDrain>,
    pub(super) events: Vec<NodeEvent>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
    /// Since when the servers hear from its client; nothing while they do not.
    pub(super) heard_since: Option<Timestamp>,
    /// When the servers will notice that its client is silent.
    pub(super) missed_at: Option<Timestamp>,
    pub(super) machine: Machine,
}

/// The machine under a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Machine {
    /// It runs.
    On,
    /// It is off, noticed or not: the agent on it does not answer. It may start again.
    Off,
    /// It has another disk: the client will never come back.
    Rebuilt,
}

/// An allocation.
#[derive(Clone, Debug)]
pub(super) struct Alloc {
    pub(super) id: String,
    pub(super) eval_id: String,
    pub(super) job: JobKey,
    pub(super) name: String,
    pub(super) node: String,
    pub(super) desired: DesiredStatus,
    pub(super) desired_description: &'static str,
    pub(super) client: ClientStatus,
    pub(super) migrate: bool,
    pub(super) healthy: Option<bool>,
    pub(super) healthy_index: u64,
    /// The allocation that it replaces, and for whose end it waits.
    pub(super) previous: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) modified_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    /// When its client will have stopped it.
    pub(super) stops_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
}

/// An allocation that is to be placed.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) job: JobKey,
    pub(super) name: String,
    pub(super) previous: Option<String>,
}

/// A node that will register.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    pub(super) at: Timestamp,
    pub(super) id: String,
    pub(super) spec: NodeSpec,
}

/// A client whose machine is off, and that the servers do not know: its node was purged, or was still to register.
#[derive(Clone, Debug)]
pub(super) struct Asleep {
    pub(super) id: String,
    pub(super) spec: NodeSpec,
}

impl Cluster {
    pub(super) fn new(journal: Journal) -> Self {
        Self {
            // Index 0 means "do not block" in a query: a cluster that runs is always past it.
            index: 10,
            nodes_index: 1,
            allocs_index: 1,
            nodes: BTreeMap::new(),
            nodes_on: BTreeMap::new(),
            nodes_anywhere: BTreeSet::new(),
            jobs: BTreeMap::new(),
            allocs: BTreeMap::new(),
            allocs_of_job: BTreeMap::new(),
            allocs_on_node: BTreeMap::new(),
            replaced_by: BTreeMap::new(),
            takers: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            agenda: Agenda::default(),
            queue: Vec::new(),
            joining: Vec::new(),
            asleep: Vec::new(),
            watched: BTreeSet::new(),
            touched: BTreeSet::new(),
            batch: None,
            batch_interval: super::BATCH_INTERVAL,
            quirks: Quirks::default(),
            leadership: Leadership::default(),
            // The same story has the same ids every time it is told.
            random: fastrand::Rng::with_seed(7),
            journal,
        }
    }

    /// The index of a new entry in the raft log.
    pub(super) fn bump(&mut self) -> u64 {
        self.index += 1;
        self.index
    }

    /// A new random UUID.
    pub(super) fn new_id(&mut self) -> String {
        let hex = format!("{:032x}", self.random.u128(..));
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// Notes a change of state.
    pub(super) fn note(&self, at: Timestamp, what: &str, subject: &str, detail: impl Into<String>) {
        self.journal.effect(at, System::Nomad, what, subject, detail);
    }

    /// A node that is about to change.
    pub(super) fn node_mut(&mut self, id: &str) -> Option<&mut Node> {
        let node = self.nodes.get_mut(id)?;
        self.unsettled.insert(id.to_owned());
        self.agenda.nodes.insert(id.to_owned());
        Some(node)
    }

    /// Adds a node, or puts another in the place of the one with its id.
    pub(super) fn insert_node(&mut self, node: Node) {
        let id = node.id.clone();
        self.remove_node(&id);
        self.unsettled.insert(id.clone());
        self.agenda.nodes.insert(id.clone());
        match node.spec.instance() {
            Some(instance) => self.nodes_on.entry(instance.to_owned()).or_default().insert(id.clone()),
            None => self.nodes_anywhere.insert(id.clone()),
        };
        self.nodes.insert(id, node);
    }

    /// Takes a node out.
    pub(super) fn remove_node(&mut self, id: &str) -> Option<Node> {
        let node = self.nodes.remove(id)?;
        self.unsettled.insert(id.to_owned());
        self.agenda.nodes.insert(id.to_owned());
        self.nodes_anywhere.remove(id);
        if let Some(nodes) = node.spec.instance().and_then(|instance| self.nodes_on.get_mut(instance)) {
            nodes.remove(id);
        }
        Some(node)
    }

    /// The ids of the nodes that say they run on an EC2 instance.
    pub(super) fn nodes_on(&self, instance_id: &str) -> impl Iterator<Item = &String> {
        self.nodes_on.get(instance_id).into_iter().flatten()
    }

    /// The nodes that say they run on one of these EC2 instances, by id.
    pub(super) fn nodes_on_any(&self, instances: &BTreeSet<&str>) -> Vec<&Node> {
        let ids: BTreeSet<&String> = instances.iter().flat_map(|instance| self.nodes_on(instance)).collect();
        ids.into_iter().filter_map(|id| self.nodes.get(id)).collect()
    }

    /// Writes to a node at a new index; nothing if there is no such node.
    pub(super) fn write_node<T>(&mut self, id: &str, change: impl FnOnce(&mut Node) -> T) -> Option<T> {
        let index = self.index + 1;
        let node = self.node_mut(id)?;
        node.modify_index = index;
        let done = change(node);
        self.index = index;
        self.nodes_index = index;
        Some(done)
    }

    /// Writes to an allocation at a new index, and lets the drainer know.
    pub(super) fn write_alloc<T>(
        &mut self,
        at: Timestamp,
        id: &str,
        change: impl FnOnce(&mut Alloc) -> T,
    ) -> Option<T> {
        let index = self.index + 1;
        let alloc = self.allocs.get_mut(id)?;
        alloc.modify_index = index;
        alloc.modified_at = at;
        let done = change(alloc);
        self.touched.insert(alloc.job.clone());
        self.unsettled.insert(alloc.node.clone());
        self.agenda.allocs.insert(id.to_owned());
        self.agenda.allocs.extend(self.replaced_by.get(id).cloned());
        self.index = index;
        self.allocs_index = index;
        Some(done)
    }

    /// The allocations on a node, oldest first, those that ended too.
    pub(super) fn on_node(&self, node: &str) -> impl Iterator<Item = &Alloc> {
        self.allocs_on_node.get(node).into_iter().flatten().filter_map(|id| self.allocs.get(id))
    }

    /// The allocations of a job, oldest first, those that ended too.
    pub(super) fn of_job(&self, job: &JobKey) -> impl Iterator<Item = &Alloc> {
        self.allocs_of_job.get(job).into_iter().flatten().filter_map(|id| self.allocs.get(id))
    }

    /// The nodes that say they run on an EC2 instance, the one that registered last first.
    pub(super) fn nodes_of_instance(&self, instance_id: &str) -> Vec<NodeView> {
        let mut found: Vec<&Node> = self.nodes_on(instance_id).filter_map(|id| self.nodes.get(id)).collect();
        found.sort_by_key(|node| std::cmp::Reverse(node.create_index));
        found.into_iter().map(Node::view).collect()
    }

    /// An allocation, for people.
    pub(super) fn alloc_view(&self, alloc: &Alloc) -> Option<AllocView> {
        let job = self.jobs.get(&alloc.job)?;
        Some(AllocView {
            id: alloc.id.clone(),
            name: alloc.name.clone(),
            namespace: job.namespace.clone(),
            job_id: job.id.clone(),
            kind: job.kind,
            node_id: alloc.node.clone(),
            desired: alloc.desired,
            client: alloc.client,
            migrate: alloc.migrate,
            healthy: alloc.healthy,
            created_at: alloc.created_at,
            started_at: alloc.started_at,
            ended_at: alloc.ended_at,
            modified_at: alloc.modified_at,
            modify_index: alloc.modify_index,
        })
    }
}

impl Node {
    /// Whether allocations may be placed on it.
    pub(super) fn takes_allocations(&self) -> bool {
        self.status == NodeStatus::Ready && self.eligible && self.drain.is_none()
    }

    /// Adds a line to its history, at the index of the write that is under way.
    pub(super) fn remember(&mut self, at: Timestamp, subsystem: &'static str, message: &str) {
        self.remember_details(at, subsystem, message, BTreeMap::new());
    }

    pub(super) fn remember_details(
        &mut self,
        at: Timestamp,
        subsystem: &'static str,
        message: &str,
        details: BTreeMap<String, String>,
    ) {
        if self.events.len() == EVENTS {
            self.events.remove(0);
        }
        let create_index = self.modify_index;
        self.events.push(NodeEvent { at, message: message.to_owned(), subsystem, details, create_index });
    }

    /// The node, for people.
    pub(super) fn view(&self) -> NodeView {
        NodeView {
            id: self.id.clone(),
            name: self.spec.name.clone(),
            instance_id: self.spec.instance().map(str::to_owned),
            address: self.spec.address.clone(),
            status: self.status,
            status_updated_at: whole_second(self.status_updated_at),
            eligible: self.eligible,
            drain: self.drain.clone(),
            last_drain: self.last_drain.clone(),
            events: self.events.clone(),
            create_index: self.create_index,
            modify_index: self.modify_index,
        }
    }
}

impl Alloc {
    /// Whether the servers or its client are done with it.
    pub(super) fn is_terminal(&self) -> bool {
        self.desired == DesiredStatus::Stop || self.client.is_terminal()
    }
}
