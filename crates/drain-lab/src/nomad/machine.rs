//! The machines under the clients: they end, stop, start again, and get new disks.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Asleep, Cluster, Joining, Machine};
use super::spec::NodeSpec;
use super::view::NodeStatus;

/// How long a machine with a new disk needs until its client registers.
const BOOTS_IN: SignedDuration = SignedDuration::from_secs(30);

/// Nomad's words for a client that registers again after it was found down.
const REGISTERED_AGAIN: &str = "Node re-registered";

impl Cluster {
    /// Everything on a machine falls silent, and what was about to register does not, unless the machine starts again.
    pub(super) fn end_machine(&mut self, at: Timestamp, instance_id: &str, address: Option<Ipv4Addr>) {
        let (here, elsewhere) = std::mem::take(&mut self.joining)
            .into_iter()
            .partition::<Vec<_>, _>(|joining| joining.spec.runs_on(instance_id, address));
        self.joining = elsewhere;
        self.asleep.extend(here.into_iter().map(|Joining { id, spec, .. }| Asleep { id, spec }));
        for id in self.nodes_on_machine(instance_id, address) {
            // It is there: the id was read a moment ago.
            _ = self.silence(at, &id);
        }
    }

    /// Those clients of a machine that were silent are heard again, under their old ids: as they were, if the servers
    /// still know them, or else as anybody who registers for the first time.
    pub(super) fn start_machine(&mut self, at: Timestamp, instance_id: &str, address: Option<Ipv4Addr>) {
        for id in self.nodes_on_machine(instance_id, address) {
            if self
                .nodes
                .get(&id)
                .is_some_and(|node| node.heard_since.is_none() && node.machine != Machine::Rebuilt)
            {
                _ = self.write_status(at, &id, NodeStatus::Ready, REGISTERED_AGAIN);
            }
        }
        let (awake, asleep) = std::mem::take(&mut self.asleep)
            .into_iter()
            .partition::<Vec<_>, _>(|asleep| asleep.spec.runs_on(instance_id, address));
        self.asleep = asleep;
        for Asleep { id, spec } in awake {
            self.register(at, &id, spec);
        }
    }

    /// Everything on a machine is gone, and its clients register again under new ids.
    pub(super) fn rebuild_machine(&mut self, at: Timestamp, instance_id: &str, address: Option<Ipv4Addr>) {
        self.end_machine(at, instance_id, address);
        let nodes = self.nodes_on_machine(instance_id, address);
        let known = nodes.iter().filter_map(|id| self.nodes.get(id)).max_by_key(|node| node.create_index);
        // A client whose node was purged a moment ago is no less a client.
        let forgotten = self.asleep.iter().rfind(|asleep| asleep.spec.runs_on(instance_id, address));
        let last = known.map(|node| &node.spec).or(forgotten.map(|asleep| &asleep.spec));
        let fresh = last.map(|spec| spec.clone().fresh());
        self.asleep.retain(|asleep| !asleep.spec.runs_on(instance_id, address));
        for id in nodes {
            if let Some(node) = self.node_mut(&id) {
                node.machine = Machine::Rebuilt;
            }
        }
        if let Some(spec) = fresh {
            let id = self.new_id();
            self.joining.push(Joining { at: at + BOOTS_IN, id, spec });
        }
    }

    fn nodes_on_machine(&self, instance_id: &str, address: Option<Ipv4Addr>) -> Vec<String> {
        let candidates: BTreeSet<&String> = self.nodes_on(instance_id).chain(&self.nodes_anywhere).collect();
        let nodes = candidates.into_iter().filter_map(|id| self.nodes.get(id));
        nodes.filter(|node| node.spec.runs_on(instance_id, address)).map(|node| node.id.clone()).collect()
    }
}

impl NodeSpec {
    /// The same client, as it registers where nobody remembers it.
    pub(super) fn fresh(self) -> Self {
        Self { status: NodeStatus::Ready, eligible: true, ..self }
    }
}
