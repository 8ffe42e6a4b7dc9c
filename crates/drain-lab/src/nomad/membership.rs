//! What happens to nodes: they register, fall silent, come back, are drained, and go.

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Asleep, Cluster, Joining, Machine, Node};
use super::drainer::whole_second;
use super::spec::{DrainRequest, NodeSpec};
use super::view::{ClientStatus, DrainStatus, DrainStrategy, HEARTBEAT_MISSED, LastDrain, NodeStatus};

/// How long after its client's last heartbeat a node counts as down: a time-out and the grace on top.
const HEARTBEAT_TIMEOUT: SignedDuration = SignedDuration::from_secs(20);

/// How long a client that was purged needs to notice and to register again.
const REGISTERS_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Nomad's words for a client that is heard again.
const HEARD_AGAIN: &str = "Node reregistered by heartbeat";

/// The servers know no such node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("node not found")]
pub struct NodeNotFound;

/// Why a node's eligibility was not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EligibilityError {
    /// The servers know no such node.
    #[error(transparent)]
    NodeNotFound(#[from] NodeNotFound),
    /// A draining node cannot be made eligible.
    #[error("can not set node's scheduling eligibility to eligible while it is draining")]
    Draining,
}

impl Cluster {
    pub(super) fn register(&mut self, at: Timestamp, id: &str, spec: NodeSpec) {
        self.enrol(at, id, spec);
        self.place(at);
    }

    /// Registers a node, and leaves it to the caller to place work on it.
    pub(super) fn enrol(&mut self, at: Timestamp, id: &str, spec: NodeSpec) {
        let index = self.bump();
        self.nodes_index = index;
        let detail = format!("{} {}", spec.name, spec.instance().unwrap_or("no instance id"));
        let mut node = Node {
            id: id.to_owned(),
            status: spec.status,
            status_updated_at: at,
            eligible: spec.eligible,
            drain: None,
            forced: false,
            last_drain: None,
            events: Vec::new(),
            create_index: index,
            modify_index: index,
            heard_since: hears(spec.status).then_some(at),
            missed_at: None,
            machine: Machine::On,
            spec,
        };
        node.remember(at, "Cluster", "Node registered");
        self.insert_node(node);
        self.note(at, "node registered", id, detail);
    }

    /// Sets a node's status, with everything that follows from it.
    pub(super) fn set_status(
        &mut self,
        at: Timestamp,
        id: &str,
        status: NodeStatus,
    ) -> Result<(), NodeNotFound> {
        self.write_status(at, id, status, HEARD_AGAIN)
    }

    /// The same, with the words for a node that was down and is not any more.
    pub(super) fn write_status(
        &mut self,
        at: Timestamp,
        id: &str,
        status: NodeStatus,
        back: &str,
    ) -> Result<(), NodeNotFound> {
        let before = self.nodes.get(id).ok_or(NodeNotFound)?.status;
        self.write_node(id, |node| {
            node.status = status;
            node.status_updated_at = at;
            node.missed_at = None;
            if hears(status) {
                node.machine = Machine::On;
            }
            node.heard_since = if hears(status) { node.heard_since.or(Some(at)) } else { None };
            if hears(before) && !hears(status) {
                node.remember(at, "Cluster", HEARTBEAT_MISSED);
            } else if before == NodeStatus::Down && hears(status) {
                node.remember(at, "Cluster", back);
            }
        });
        self.note(at, &format!("node {}", status.as_str()), id, "");
        match status {
            NodeStatus::Down => self.lose_allocs(at, id),
            NodeStatus::Disconnected => {
                self.rewrite_clients(at, id, ClientStatus::Running, ClientStatus::Unknown);
            }
            NodeStatus::Ready | NodeStatus::Initializing => {
                self.rewrite_clients(at, id, ClientStatus::Unknown, ClientStatus::Running);
            }
        }
        self.place(at);
        Ok(())
    }

    /// The client falls silent: its machine is gone, and the servers will notice.
    pub(super) fn silence(&mut self, at: Timestamp, id: &str) -> Result<(), NodeNotFound> {
        let node = self.node_mut(id).ok_or(NodeNotFound)?;
        if node.machine == Machine::On {
            node.machine = Machine::Off;
        }
        if node.heard_since.take().is_some() {
            node.missed_at = Some(at + HEARTBEAT_TIMEOUT);
        }
        Ok(())
    }

    /// Makes a node eligible or not; answers the index of the write, or 0 if it was so already.
    pub(super) fn set_eligibility(
        &mut self,
        at: Timestamp,
        id: &str,
        eligible: bool,
    ) -> Result<u64, EligibilityError> {
        let node = self.nodes.get(id).ok_or(NodeNotFound)?;
        if eligible && node.drain.is_some() {
            return Err(EligibilityError::Draining);
        }
        if node.eligible == eligible {
            return Ok(0);
        }
        let word = if eligible { "eligible" } else { "ineligible" };
        self.write_node(id, |node| {
            node.eligible = eligible;
            node.status_updated_at = at;
            node.remember(at, "Cluster", &format!("Node marked as {word} for scheduling"));
        });
        let index = self.index;
        self.note(at, "eligibility", id, word);
        self.place(at);
        Ok(index)
    }

    /// Begins, changes or cancels a drain; answers the index of the write.
    pub(super) fn update_drain(
        &mut self,
        at: Timestamp,
        id: &str,
        request: DrainRequest,
        accessor: &str,
    ) -> Result<u64, NodeNotFound> {
        let node = self.nodes.get(id).ok_or(NodeNotFound)?;
        let before = node.drain.clone();
        let after = request.spec.map(|spec| DrainStrategy {
            deadline: spec.deadline,
            ignore_system_jobs: spec.ignore_system_jobs,
            force_deadline: (spec.deadline > SignedDuration::ZERO).then(|| at + spec.deadline),
            started_at: before.as_ref().map_or(at, |drain| drain.started_at),
        });
        let (what, message) = match (&before, &after) {
            (None, None) => ("", ""),
            (None, Some(_)) => ("drain started", "Node drain strategy set"),
            (Some(_), Some(_)) => ("drain updated", "Node drain strategy updated"),
            (Some(_), None) => ("drain cancelled", "Node drain disabled"),
        };
        let deadline =
            after.as_ref().map(|drain| format!("deadline {:#}", drain.deadline)).unwrap_or_default();
        let changed = after.is_some() && after != before;
        self.write_node(id, |node| {
            node.status_updated_at = at;
            if after.is_some() {
                node.eligible = false;
            } else if request.mark_eligible {
                node.eligible = true;
            }
            if !message.is_empty() {
                node.last_drain = Some(next_last_drain(
                    at,
                    node,
                    before.is_some(),
                    after.is_some(),
                    request.meta,
                    accessor,
                ));
                node.remember(at, "Drain", message);
            }
            if changed {
                node.forced = false;
            }
            node.drain = after;
        });
        let index = self.index;
        if !what.is_empty() {
            self.note(at, what, id, deadline);
        }
        if changed {
            self.drain_changed(at, id);
        }
        self.place(at);
        Ok(index)
    }

    /// Forgets a node. A client that is still alive registers again, fresh and eligible; one whose machine is stopped does
    /// when that starts.
    pub(super) fn purge(&mut self, at: Timestamp, id: &str) -> Result<u64, NodeNotFound> {
        let node = self.remove_node(id).ok_or(NodeNotFound)?;
        let index = self.bump();
        self.nodes_index = index;
        self.note(at, "node purged", id, &node.spec.name);
        self.lose_allocs(at, id);
        self.place(at);
        let (id, spec) = (id.to_owned(), node.spec.fresh());
        if node.heard_since.is_some() {
            self.joining.push(Joining { at: at + REGISTERS_AGAIN_AFTER, id, spec });
        } else if node.machine != Machine::Rebuilt {
            self.asleep.push(Asleep { id, spec });
        }
        Ok(index)
    }

    fn rewrite_clients(&mut self, at: Timestamp, node: &str, from: ClientStatus, to: ClientStatus) {
        let ids: Vec<String> =
            self.on_node(node).filter(|alloc| alloc.client == from).map(|alloc| alloc.id.clone()).collect();
        for id in ids {
            self.write_alloc(at, &id, |alloc| alloc.client = to);
        }
    }
}

/// Whether the servers hear from the client of a node with this status.
fn hears(status: NodeStatus) -> bool {
    matches!(status, NodeStatus::Ready | NodeStatus::Initializing)
}

fn next_last_drain(
    at: Timestamp,
    node: &mut Node,
    was_draining: bool,
    is_draining: bool,
    meta: std::collections::BTreeMap<String, String>,
    accessor: &str,
) -> LastDrain {
    let at = whole_second(at);
    let status = if is_draining { DrainStatus::Draining } else { DrainStatus::Canceled };
    let fresh = LastDrain {
        started_at: at,
        updated_at: at,
        status,
        accessor_id: accessor.to_owned(),
        meta: meta.clone(),
    };
    match node.last_drain.take().filter(|_| was_draining) {
        None => fresh,
        Some(running) => LastDrain {
            started_at: running.started_at,
            // An update without metadata keeps what the drain had.
            meta: if meta.is_empty() { running.meta } else { meta },
            ..fresh
        },
    }
}
