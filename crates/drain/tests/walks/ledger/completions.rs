//! Completions: each is compared with what its invocation was shown, and with what really runs.

use std::collections::{BTreeMap, BTreeSet};

use drain_lab::nomad::{AllocView, ClientStatus, DesiredStatus, JobKind, NodeStatus, NodeView};
use jiff::Timestamp;

use super::{LOOK_LASTS, Ledger, TOLERANCE, later};
use crate::ground::Ground;
use crate::translate::silent_since;

/// What an invocation was shown, as it really was at that moment.
#[derive(Debug, Default)]
pub(super) struct Looks {
    listed: BTreeMap<String, (Timestamp, BTreeSet<String>)>,
    /// Instances of which it has seen a node.
    seen: BTreeSet<String>,
    read: BTreeMap<String, Read>,
    /// Nodes that it has read since it last posted a drain on them.
    known: BTreeSet<String>,
}

#[derive(Debug)]
struct Read {
    at: Timestamp,
    at_risk: BTreeSet<String>,
    deadline: Option<Timestamp>,
}

impl Ledger {
    /// An invocation is shown which nodes an instance has.
    pub(crate) fn listed(&mut self, ground: &Ground, invocation: usize, instance: &str) {
        let nodes: BTreeSet<String> = ground.nodes_of(instance).into_iter().map(|node| node.id).collect();
        let looks = self.looks.entry(invocation).or_default();
        if !nodes.is_empty() {
            looks.seen.insert(instance.to_owned());
        }
        looks.listed.insert(instance.to_owned(), (ground.now(), nodes));
    }

    /// An invocation is shown a node.
    pub(crate) fn shown(&mut self, invocation: usize, node: &str) {
        self.looks.entry(invocation).or_default().known.insert(node.to_owned());
    }

    /// An invocation posts a drain, whether it gets through or not: never twice without a look at the node between.
    pub(crate) fn posts(&mut self, ground: &Ground, invocation: usize, node: &str) {
        if !self.looks.entry(invocation).or_default().known.remove(node) {
            self.breaks(ground, format!("invocation #{invocation} posts a drain blindly"));
        }
    }

    /// An invocation is shown the allocations on a node.
    pub(crate) fn read(&mut self, ground: &Ground, invocation: usize, node: &str) {
        let Some(view) = ground.nomad.node(node) else { return };
        let read =
            Read { at: ground.now(), at_risk: self.at_risk(ground, &view), deadline: self.deadline(&view) };
        self.looks.entry(invocation).or_default().read.insert(node.to_owned(), read);
    }

    /// The allocations on a node that a completion would end, by the policies: those that its client runs, and those
    /// that it may run while nobody hears from it.
    pub(super) fn at_risk(&self, ground: &Ground, node: &NodeView) -> BTreeSet<String> {
        let now = ground.now();
        let silent = |grace| now < later(silent_since(node), grace);
        let dead = ground.dead.borrow().contains(&node.id);
        let counts = |alloc: &AllocView| {
            let may_run = match node.status {
                NodeStatus::Initializing | NodeStatus::Ready => {
                    !dead && matches!(alloc.client, ClientStatus::Pending | ClientStatus::Running)
                }
                NodeStatus::Disconnected => {
                    !dead && silent(self.policy.disconnected_grace) && !alloc.client.is_terminal()
                }
                NodeStatus::Down => {
                    let lost_now = alloc.ended_at.is_some_and(|ended| ended >= silent_since(node));
                    !dead && silent(self.policy.down_grace) && alloc.client == ClientStatus::Lost && lost_now
                }
            };
            may_run && !(self.policy.ignore_system_jobs && alloc.kind == JobKind::System)
        };
        let allocs = ground.nomad.allocations_on(&node.id);
        allocs.into_iter().filter(counts).map(|alloc| alloc.id).collect()
    }

    /// An invocation completes the lifecycle action that holds an instance.
    pub(crate) fn completes(&mut self, ground: &Ground, invocation: usize, instance: &str) {
        ground.tally.borrow_mut().end("completed by us");
        let now = ground.now();
        let name = ground.name(instance);
        if self.policy.pause {
            self.breaks(ground, format!("{name}: completed while PAUSE is on"));
        }
        let looks = self.looks.remove(&invocation).unwrap_or_default();
        let listed = looks.listed.get(instance);
        let nodes = ground.nodes_of(instance);
        for node in &nodes {
            let at_risk = self.at_risk(ground, node);
            let fresh = |at: Timestamp| now.duration_since(at) <= LOOK_LASTS;
            let read = looks.read.get(&node.id).filter(|read| fresh(read.at));
            let at_risk: BTreeSet<&String> = match (read, listed) {
                (Some(read), _) => at_risk.intersection(&read.at_risk).collect(),
                // It joined after the look, a moment ago: nobody has noticed yet that the node before it is silent.
                (None, Some((at, nodes)))
                    if !nodes.contains(&node.id) && (fresh(*at) || fresh(joined_at(node))) =>
                {
                    continue;
                }
                (None, _) => at_risk.iter().collect(),
            };
            let over = |deadline: Option<Timestamp>| {
                deadline.is_some_and(|deadline| now >= later(deadline, self.policy.kill_grace - TOLERANCE))
            };
            let told = over(self.told(node));
            let allocs = ground.nomad.allocations_on(&node.id);
            let stops = |id: &str| allocs.iter().any(|one| one.id == id && one.desired != DesiredStatus::Run);
            let at_risk: BTreeSet<&String> = at_risk.into_iter().filter(|id| !(told && stops(id))).collect();
            let deadline_over = over(self.deadline(node)) || read.is_some_and(|read| over(read.deadline));
            if !at_risk.is_empty() && !deadline_over {
                let (count, node) = (at_risk.len(), &node.name);
                self.breaks(ground, format!("{name}: completed while {count} allocations may run on {node}"));
            }
        }
        if let Some(action) = self.actions.get(instance)
            && nodes.is_empty()
            && !looks.seen.contains(instance)
            && now < later(action.begun_at, self.policy.node_join_grace)
        {
            self.breaks(ground, format!("{name}: completed before its node had time to join"));
        }
        self.looks.insert(invocation, looks);
    }
}

/// When a node joined the cluster; long ago if it does not remember.
fn joined_at(node: &NodeView) -> Timestamp {
    let joined = node.events.iter().find(|event| event.message == "Node registered");
    joined.map_or(Timestamp::MIN, |event| event.at)
}
