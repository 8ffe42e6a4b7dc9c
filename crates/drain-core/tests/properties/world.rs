//! What Nomad and Auto Scaling make of an action.

use drain_core::decide::{Action, DrainRequest};
use drain_core::observation::{
    DrainDeadline, LastDrain, LastDrainStatus, Node, Nodes, Observation, RunningDrain,
};
use jiff::Timestamp;

/// The observation after the action has had its effect, and nothing else has changed.
pub(crate) fn applied(seen: &Observation, action: &Action, now: Timestamp) -> Observation {
    let mut after = seen.clone();
    match action {
        Action::Drain(request) => {
            drain(node(&mut after, &request.node), request, now);
            if let Some(hold) = &mut after.hold {
                hold.drain_begun = true;
            }
        }
        Action::MakeIneligible(id) => {
            let node = node(&mut after, id);
            (node.eligible, node.by_hand.changed_at) = (false, Some(now));
        }
        Action::GiveBack { node: id, ends_drain } => {
            let node = node(&mut after, id);
            node.eligible = true;
            if *ends_drain {
                node.drain = None;
                if let Some(last) = &mut node.last_drain {
                    last.status = LastDrainStatus::Canceled;
                    last.updated_at = Some(Timestamp::from_second(now.as_second()).unwrap());
                }
            } else {
                node.by_hand.changed_at = Some(now);
            }
        }
        Action::Purge(id) => {
            let Nodes::Known(nodes) = &mut after.nodes else { panic!("no node is known") };
            nodes.retain(|node| node.node.id != *id);
        }
        Action::Heartbeat => after.hold.as_mut().unwrap().last_heartbeat = Some(now),
        Action::Complete { .. } => after.hold.as_mut().unwrap().ended = true,
    }
    after
}

fn node<'a>(seen: &'a mut Observation, id: &drain_core::ids::NodeId) -> &'a mut Node {
    let Nodes::Known(nodes) = &mut seen.nodes else { panic!("no node is known") };
    &mut nodes.iter_mut().find(|node| node.node.id == *id).unwrap().node
}

/// `Meta` is replaced, or kept if the request has none; a change of a drain does not move its beginning; and
/// `LastDrain` holds whole seconds.
fn drain(node: &mut Node, request: &DrainRequest, now: Timestamp) {
    let changes = node.drain.is_some();
    let whole = Timestamp::from_second(now.as_second()).unwrap();
    let kept = node.last_drain.take().filter(|_| changes);
    let (meta, began) = kept.map(|last| (last.meta, last.started_at)).unwrap_or_default();
    node.eligible = false;
    node.drain = Some(RunningDrain {
        deadline: if request.spec.deadline.is_negative() {
            DrainDeadline::Forced
        } else {
            DrainDeadline::At(now + request.spec.deadline)
        },
        ignore_system_jobs: request.spec.ignore_system_jobs,
        started_at: node.drain.map_or(Some(now), |drain| drain.started_at),
    });
    node.last_drain = Some(LastDrain {
        status: LastDrainStatus::Draining,
        started_at: if changes { began } else { Some(whole) },
        updated_at: Some(whole),
        meta: request.meta.clone().unwrap_or(meta),
    });
    node.modify_index += 1;
}
