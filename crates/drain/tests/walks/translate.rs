//! From the words of the lab's model to those of the decision. The real function reads the same out of JSON.

use drain::world::Idle;
use drain_core::ids::NodeId;
use drain_core::observation as seen;
use drain_lab::nomad as lab;
use jiff::{SignedDuration, Timestamp};

/// A node.
pub(crate) fn node(view: &lab::NodeView) -> seen::Node {
    seen::Node {
        id: NodeId::parse(&view.id).unwrap(),
        name: view.name.clone(),
        status: match view.status {
            lab::NodeStatus::Initializing => seen::NodeStatus::Initializing,
            lab::NodeStatus::Ready => seen::NodeStatus::Ready,
            lab::NodeStatus::Down => seen::NodeStatus::Down(silent_since(view)),
            lab::NodeStatus::Disconnected => seen::NodeStatus::Disconnected(silent_since(view)),
        },
        eligible: view.eligible,
        drain: view.drain.as_ref().map(running_drain),
        last_drain: view.last_drain.as_ref().map(last_drain),
        by_hand: by_hand(view),
        availability_zone: None,
        modify_index: view.modify_index,
    }
}

/// A node that takes no work, or is down, as the list shows it.
pub(crate) fn idle(view: &lab::NodeView) -> Option<Idle> {
    let (down, eligible) = (view.status == lab::NodeStatus::Down, view.eligible);
    let last_drain = view.last_drain.as_ref().map(last_drain);
    (down || !eligible).then(|| Idle { node: NodeId::parse(&view.id).unwrap(), down, eligible, last_drain })
}

fn by_hand(view: &lab::NodeView) -> seen::ByHand {
    let changes = view.events.iter().filter(|event| event.message.starts_with("Node marked as"));
    let oldest = view.events.first().filter(|_| view.events.len() == 10);
    seen::ByHand {
        changed_at: changes.map(|event| event.at).max(),
        known_since: oldest.map(|event| event.at),
    }
}

/// Since when a node is silent: its newest missed heartbeat, or its oldest event if it remembers none.
pub(crate) fn silent_since(view: &lab::NodeView) -> Timestamp {
    let missed = view.events.iter().filter(|event| event.message.contains("heartbeat missed"));
    let oldest = view.events.first().map(|event| event.at);
    missed.map(|event| event.at).max().or(oldest).unwrap_or(Timestamp::MIN)
}

fn running_drain(drain: &lab::DrainStrategy) -> seen::RunningDrain {
    let deadline = match drain.force_deadline {
        Some(moment) => seen::DrainDeadline::At(moment),
        None if drain.deadline < SignedDuration::ZERO => seen::DrainDeadline::Forced,
        None => seen::DrainDeadline::Never,
    };
    let ignore_system_jobs = drain.ignore_system_jobs;
    seen::RunningDrain { deadline, ignore_system_jobs, started_at: Some(drain.started_at) }
}

fn last_drain(last: &lab::LastDrain) -> seen::LastDrain {
    seen::LastDrain {
        status: match last.status {
            lab::DrainStatus::Draining => seen::LastDrainStatus::Draining,
            lab::DrainStatus::Complete => seen::LastDrainStatus::Complete,
            lab::DrainStatus::Canceled => seen::LastDrainStatus::Canceled,
        },
        started_at: Some(last.started_at),
        updated_at: Some(last.updated_at),
        meta: last.meta.clone(),
    }
}

/// An allocation. The lab's view does not say when it last changed: its birth and its end are what is known of that.
pub(crate) fn allocation(view: &lab::AllocView) -> seen::Allocation {
    seen::Allocation {
        job: view.job_id.clone(),
        namespace: view.namespace.clone(),
        system: view.kind == lab::JobKind::System,
        wanted: view.desired == lab::DesiredStatus::Run,
        client: match view.client {
            lab::ClientStatus::Pending | lab::ClientStatus::Running => seen::ClientStatus::Live,
            lab::ClientStatus::Unknown => seen::ClientStatus::Unknown,
            lab::ClientStatus::Complete | lab::ClientStatus::Lost => seen::ClientStatus::Terminal,
        },
        modified_at: Some(view.ended_at.unwrap_or(view.created_at)),
        lost_at: (view.client == lab::ClientStatus::Lost).then_some(view.modify_index),
    }
}
